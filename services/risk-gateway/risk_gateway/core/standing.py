"""How the account stands: what every order is judged against that is not of the order. Made anew when something moves it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from fleet_contracts import Halt, Reason, TradingState
from fleet_contracts.money import ZERO
from fleet_contracts.risk_config import Limits
from risk_gateway.core.drift import NONE, Drift
from risk_gateway.core.equity import DayBase, EquityState
from risk_gateway.core.halts import reason_for, reason_of, trading_state
from risk_gateway.core.rules import Rules
from risk_gateway.core.scope import whole


@dataclass(slots=True, eq=False)
class Standing:
    """Rules, halts and equity of one moment. Amounts in the account's currency."""

    rules: Rules
    limits: Limits
    halt: Reason | None
    """Why the whole account is halted."""
    scoped: list[Halt] | None
    """Every halt, oldest first, while one of them reaches less than the account."""
    trading_state: TradingState
    worth: Decimal
    """The newest equity, and whether it is trusted and positive."""
    sound: bool
    equity_event: str | None
    observed_at: datetime | None
    fresh_until: datetime | None
    """When the newest EQUITY becomes stale; None before the first."""
    base: DayBase | None
    """The newest day that has a base, and that."""
    base_day: str
    usable: bool
    """The equity is trusted and positive, and so is the day's base."""
    gross_limit: Decimal
    """LV-1: max_leverage × equity."""
    loss: Decimal
    loss_limit: Decimal
    high: Decimal
    """The high-water mark; 0 before the first."""
    fall: Decimal
    """How far below it the equity is."""
    too_deep: bool
    """The drawdown is over its hard limit."""
    drifts: Mapping[str, Drift]
    """Symbols whose position differs from the reported one."""
    checks: tuple[Callable[[Any], Any], ...] | None = None
    """The checks that some order may not pass while the account stands so; None until an order comes."""

    def halt_of(self, bot: str, symbol: str) -> Reason | None:
        """Why an opening of this bot in this symbol is halted."""
        return self.halt if self.scoped is None else reason_for(self.scoped, bot, symbol)


def standing_of(rules: Rules, equity: EquityState, halts: list[Halt], drifts: Mapping[str, Drift] = NONE) -> Standing:
    """The standing now. Needs the exact decimal context."""
    limits, base = rules.risk.limits, equity.base
    observed = equity.observed_at
    return Standing(
        rules=rules,
        limits=limits,
        halt=reason_of(halts),
        scoped=None if all(whole(halt.scope) for halt in halts) else halts,
        trading_state=trading_state(halts, equity, rules),
        worth=equity.equity,
        sound=equity.usable(),
        equity_event=equity.event or None,
        observed_at=observed,
        fresh_until=None if observed is None else observed + rules.stale_equity,
        base=base,
        base_day=base.day if base else "",
        usable=equity.usable() and (base is None or base.amount > 0),
        gross_limit=limits.max_leverage * equity.equity,
        loss=equity.daily_loss(),
        loss_limit=equity.daily_loss_limit(rules),
        high=equity.high or ZERO,
        fall=equity.fall(),
        too_deep=equity.drawdown_over(limits.max_drawdown.hard_pct),
        drifts=drifts,
    )
