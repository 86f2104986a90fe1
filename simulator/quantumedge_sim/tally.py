"""Counts what happens in a run. Pure; the summary is made out of it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from fleet_contracts import Halt, TradingState
from fleet_contracts.money import ZERO
from quantumedge_sim.candles import Candle
from quantumedge_sim.round_trips import Closed
from quantumedge_sim.venue_order import Report

HALTS_MAX = 1_000


@dataclass(slots=True)
class SeenHalt:
    """A halt, and the equity at which the bot first saw it."""

    halt_id: str
    cause: str
    at: datetime
    equity: Decimal
    commanded: bool = False
    stage: str | None = None
    """How far its closing has come, as the fleet last said."""


@dataclass(slots=True)
class Tally:
    """Amounts in the account's currency. `equity_*` are the bot's own figures, once per candle."""

    candles: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    price_first: Decimal = ZERO
    price_last: Decimal = ZERO
    price_low: Decimal = ZERO
    price_high: Decimal = ZERO
    equity_first: Decimal | None = None
    equity_last: Decimal = ZERO
    equity_peak: Decimal = ZERO
    drawdown: Decimal = ZERO
    """The deepest fall from the peak, in currency."""
    drawdown_share: Decimal = ZERO
    """The deepest fall, as a share of the peak."""
    asked: int = 0
    allowed: int = 0
    denied: Counter[str] = field(default_factory=Counter)
    local_allowed: int = 0
    local_denied: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    never_sent: int = 0
    skipped: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    fills: int = 0
    maker_fills: int = 0
    volume: Decimal = ZERO
    fees: Decimal = ZERO
    trades: int = 0
    wins: int = 0
    trades_pnl: Decimal = ZERO
    closed_by: Counter[str] = field(default_factory=Counter)
    halts: dict[str, SeenHalt] = field(default_factory=dict)
    trading_state: TradingState | None = None
    """As the fleet last said."""
    trading_state_since: datetime | None = None
    manual_close_needed: bool = False
    """As the fleet last said."""
    commands: Counter[str] = field(default_factory=Counter)
    spooled_max: int = 0
    """The most events that ever waited for the bus."""
    answered_after_heal: int = 0
    """Decisions of the gateway after the bus had been away."""

    def candle(self, candle: Candle, equity: Decimal) -> None:
        """A candle was traded."""
        if self.first_at is None:
            self.first_at = candle.at
            self.price_first = candle.open
            self.price_low, self.price_high = candle.low, candle.high
        self.candles += 1
        self.last_at, self.price_last = candle.at, candle.close
        self.price_low, self.price_high = min(self.price_low, candle.low), max(self.price_high, candle.high)
        self.value(equity)

    def value(self, equity: Decimal) -> None:
        """The account was valued."""
        if self.equity_first is None:
            self.equity_first = self.equity_peak = equity
        self.equity_last = equity
        self.equity_peak = max(self.equity_peak, equity)
        fall = self.equity_peak - equity
        self.drawdown = max(self.drawdown, fall)
        if self.equity_peak > 0:
            self.drawdown_share = max(self.drawdown_share, fall / self.equity_peak)

    def verdict(self, *, allowed: bool, reason: str, local: bool) -> None:
        """An order was asked about."""
        self.asked += 1
        if not local and (self.local_allowed or self.local_denied):
            self.answered_after_heal += 1
        if local and allowed:
            self.local_allowed += 1
        elif local:
            self.local_denied[str(reason)] += 1
        elif allowed:
            self.allowed += 1
        else:
            self.denied[str(reason)] += 1

    def report(self, report: Report) -> None:
        """The venue reported."""
        if report.last_qty is not None and report.last_price is not None:
            self.fills += 1
            self.maker_fills += report.liquidity == "maker"
            self.volume += report.last_qty * report.last_price
            self.fees += report.fee or ZERO
        elif report.status == "REJECTED":
            self.rejected[report.detail or ""] += 1

    def trade(self, closed: Closed, reason: str) -> None:
        """A round trip was closed."""
        self.trades += 1
        self.wins += closed.trip.pnl > 0
        self.trades_pnl += closed.trip.pnl
        self.closed_by[reason] += 1

    def standing(self, state: TradingState | None, at: datetime) -> None:
        """The fleet says what is allowed: all, reductions, nothing new."""
        if state is not None and state is not self.trading_state:
            self.trading_state, self.trading_state_since = state, at

    def halt(self, halt: Halt, at: datetime) -> None:
        """The fleet says so; counted once."""
        if halt.halt_id not in self.halts and len(self.halts) < HALTS_MAX:
            self.halts[halt.halt_id] = SeenHalt(halt.halt_id, str(halt.cause), at, self.equity_last)
        if halt.halt_id in self.halts:
            self.halts[halt.halt_id].stage = (halt.model_extra or {}).get("stage")
