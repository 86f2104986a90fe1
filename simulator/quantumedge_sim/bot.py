"""The loop: a candle, what it filled, what the account is worth, what the fleet says, what is to be done."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from fleet_contracts import Mode
from fleet_sdk import SpoolError
from quantumedge_sim.candles import Candle
from quantumedge_sim.clock import CandleClock
from quantumedge_sim.commands import Obedience
from quantumedge_sim.pace import Pace
from quantumedge_sim.trader import Trader

FLAT_EVERY = 30
"""Candles between EQUITY events when there is no position, in virtual time."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `candles_all` None: it does not end by itself."""

    candles: int
    candles_all: int | None
    at: datetime
    equity: Decimal
    asked: int
    denied: int
    trades: int


class QuantumBot:
    """One run. `clock` None: wall time, where the SDK does things by itself; else virtual time, stepped once a candle."""

    def __init__(
        self,
        trader: Trader,
        clock: CandleClock | None,
        pace: Pace,
        stop: asyncio.Event,
        *,
        save: Callable[[], None] = lambda: None,
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_candle: Callable[[int], None] = lambda _: None,
        deaf_from: int | None = None,
    ) -> None:
        self._trader, self._desk = trader, trader.desk
        self._clock, self._pace, self._stop = clock, pace, stop
        self._save, self._on_progress, self._on_candle = save, on_progress, on_candle
        self._obedience = Obedience(trader)
        self._desk.face.on_command(self._obedience.take)
        self._heard: Mode | None = None
        self._deaf_from = deaf_from

    async def run(self, candles: Iterable[Candle], candles_all: int | None, warm_up: int) -> None:
        """Trade until the candles end or the run is to stop. Raises `NoDecision`, `BusAway` in virtual time."""
        source = iter(candles)
        await self._desk.settle_crash()
        for _ in range(warm_up):
            if (candle := next(source, None)) is None:
                return
            self._come(candle)
            self._trader.strategy.see(candle)
        await self._desk.deliver()
        for candle in source:
            await self._pace.wait(self._between)
            if self._stop.is_set() or self._trader.told.stopped:
                break
            self._come(candle)
            try:
                await self._trade(candle)
            except SpoolError as error:
                _log.warning("nothing more can be said for now; nothing is traded: %s", error)
            self._note(candle, candles_all)
        await self._end()

    @property
    def _deaf(self) -> bool:
        return self._deaf_from is not None and self._desk.tally.candles >= self._deaf_from

    def _come(self, candle: Candle) -> None:
        """The market moves, whatever the bot does."""
        if self._clock is not None:
            self._clock.at = candle.at
        self._desk.exchange.on_candle(candle)

    async def _trade(self, candle: Candle) -> None:
        self._save()
        await self._desk.deliver()
        await self._value(candle)
        if not self._deaf:
            if self._clock is not None:
                await self._desk.face.step()
            await self._listen()
        await self._trader.manage(candle)
        await self._obedience.carry_out()
        await self._trader.pursue(candle)

    async def _value(self, candle: Candle) -> None:
        """EQUITY and MARK: every candle in wall time; else when there is a position, and now and then."""
        number = self._desk.exchange.candle_number
        if self._clock is None:
            step = self._desk.exchange.instrument.tick
            self._desk.face.mark(
                symbol=self._desk.exchange.instrument.symbol,
                bid=candle.close - step,
                ask=candle.close + step,
                mark=candle.close,
                last=candle.close,
            )
        if self._clock is None or self._desk.exchange.position() or number % FLAT_EVERY == 0:
            await self._desk.tell_equity(self._trader.strategy.regime)

    async def _listen(self) -> None:
        """The fleet's mode and halts."""
        state = self._desk.face.state
        self._desk.tally.standing(state.trading_state, self._now())
        self._desk.tally.manual_close_needed = state.manual_close_needed
        for halt in state.halts:
            self._desk.tally.halt(halt, self._now())
        if state.mode is not None and state.mode is not self._heard:
            self._heard = state.mode
            if state.mode is not Mode.LIVE:
                self._trader.told.mode = state.mode
                self._desk.face.progress(mode=state.mode)
        await self._obedience.carry_out()

    async def _between(self) -> None:
        """While waiting for a candle: still obey, still say what the account is worth."""
        await self._listen()
        await self._desk.deliver()
        await self._desk.tell_equity(self._trader.strategy.regime)

    def _note(self, candle: Candle, candles_all: int | None) -> None:
        desk = self._desk
        equity = desk.exchange.ledger.equity
        desk.tally.candle(candle, equity)
        desk.tally.spooled_max = max(desk.tally.spooled_max, desk.face.spooled)
        desk.face.progress(
            last_tick_at=self._now(),
            last_decision_at=self._now(),
            pnl=equity - desk.exchange.ledger.deposits,
            open_positions=int(bool(desk.exchange.position())),
        )
        self._on_candle(desk.tally.candles)
        tally = desk.tally
        self._on_progress(
            Progress(tally.candles, candles_all, candle.at, equity, tally.asked, sum(tally.denied.values()), tally.trades)
        )

    async def _end(self) -> None:
        """Nothing is left working but the stop of a position that outlives us; everything is told."""
        await self._trader.cancel_all("BOT_STOPS", keep_stop=self._clock is None)
        self._save()
        await self._desk.deliver()
        if self._desk.exchange.last is not None:
            await self._desk.tell_equity(self._trader.strategy.regime)
        if self._deaf and self._clock is not None:
            await self._desk.face.step()  # to say in the end how the fleet stands
            await self._listen()
        await self._desk.face.flush()

    def _now(self) -> datetime:
        return self._desk.now()
