"""Equity truth: what the account is worth, since when the day counts, how far below its high-water mark it stands.

Rules EQ-1…EQ-6, DL-1…DL-7 and DD-1…DD-4 of risk-semantics §4.1–4.3. Amounts in the account's currency.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal

from fleet_contracts import Equity
from fleet_contracts.money import NOTIONAL_MAX, ZERO, down12, half_even12
from risk_gateway.core.rules import Rules

HUNDRED = Decimal(100)
PERCENT = Decimal("0.01")
_DIVIDING = Context(prec=60, traps=[])


@dataclass(frozen=True, slots=True)
class DayBase:
    """What a day's loss is measured from: the base amount and the cumulative net deposits at that moment."""

    day: str
    amount: Decimal
    deposits: Decimal
    event: str
    balance: Decimal | None = None
    """The balance at that moment: what the realised loss counts from. None: the venue gives none."""


@dataclass(slots=True)
class EquityState:
    """The fold of EQUITY events, and the day base in force (set by RISK_STATE facts only)."""

    event: str = ""
    observed_at: datetime | None = None
    equity: Decimal = ZERO
    trusted: bool = False
    deposits: Decimal = ZERO
    """Cumulative net deposits as of the newest observation."""
    balance: Decimal | None = None
    """The newest balance: realised, net of fees. None: the newest observation has none."""
    trusted_equity: Decimal | None = None
    trusted_balance: Decimal | None = None
    trusted_deposits: Decimal = ZERO
    high: Decimal | None = None
    """High-water mark, flow-adjusted (DD-1)."""
    base: DayBase | None = None
    next_base: DayBase | None = None
    """The first trusted observation of a day that has no base yet."""

    def observe(self, event: Equity, at: datetime, rules: Rules) -> None:
        """Fold one observation; an older one than the newest changes nothing."""
        if self.observed_at is not None and at < self.observed_at:
            return
        self.event = str(event.event_id)
        self.observed_at = at
        self.equity, self.balance = event.equity, event.balance
        self.trusted = event.priced
        if event.net_deposits is not None:
            self.deposits = event.net_deposits
        if event.priced:
            self._trust(event, at, rules)

    def _trust(self, event: Equity, at: datetime, rules: Rules) -> None:
        """A trusted observation moves the high-water mark, and may become the base of a new day."""
        flow = self.deposits - self.trusted_deposits
        if self.high is None:
            self.high = event.equity
        elif flow:
            before = event.equity - flow
            if before > 0 and event.equity > 0:
                moved = half_even12(ratio_exactly(self.high * event.equity, before))
                self.high = min(moved, NOTIONAL_MAX)  # a deposit into next to nothing: still nearly all of it is lost
        self.high = max(self.high, event.equity)
        self.trusted_equity, self.trusted_balance = event.equity, event.balance
        self.trusted_deposits = self.deposits
        day = rules.day_of(at)
        known = self.base.day if self.base else ""
        if day > known and (self.next_base is None or self.next_base.day < day):
            self.next_base = DayBase(day, _base_amount(event, rules), self.deposits, self.event, event.balance)

    def base_of(self, day: str) -> DayBase | None:
        """What a day is measured from, also while the RISK_STATE that says so is on its way."""
        return next((base for base in (self.base, self.next_base) if base is not None and base.day == day), None)

    def daily_loss(self, base: DayBase | None = None) -> Decimal:
        """DL-4: the worse of the marked and the realised loss."""
        return max(self.marked_loss(base), self.realized_loss(base))

    def marked_loss(self, base: DayBase | None = None) -> Decimal:
        """DL-3: `max(0, E0 + F − E)`; an untrusted figure may raise the reading, never lower it (EQ-4)."""
        base = base or self.base
        if base is None:
            return ZERO
        return self._loss(base, base.amount, self.equity, self.trusted_equity)

    def realized_loss(self, base: DayBase | None = None) -> Decimal:
        """DL-4: `max(0, B0 + F − B)`, of balances net of fees and without open profit, which so hides no loss; 0 while the
        venue gives no balance.
        """
        base = base or self.base
        if base is None or base.balance is None or self.balance is None:
            return ZERO
        return self._loss(base, base.balance, self.balance, self.trusted_balance)

    def _loss(self, base: DayBase, start: Decimal, now: Decimal, trusted: Decimal | None) -> Decimal:
        readings = [start + self.deposits - base.deposits - now]
        if not self.trusted and trusted is not None:
            readings.append(start + self.trusted_deposits - base.deposits - trusted)
        return max(ZERO, *readings)

    def daily_loss_limit(self, rules: Rules, base: DayBase | None = None) -> Decimal:
        """`min(amount, pct × E0)`."""
        limit = rules.risk.limits.max_daily_loss
        base = base or self.base
        return min(limit.amount, down12((base.amount if base else ZERO) * limit.pct * PERCENT))

    def fall(self) -> Decimal:
        """How far below the high-water mark, in currency; the larger of the trusted and an untrusted reading."""
        if self.high is None:
            return ZERO
        readings = [self.high - self.equity]
        if not self.trusted and self.trusted_equity is not None:
            readings.append(self.high - self.trusted_equity)
        return max(ZERO, *readings)

    def drawdown_over(self, pct: Decimal) -> bool:
        """DD-1: `(H − E) × 100 > pct × H`, without dividing."""
        return self.high is not None and self.high > 0 and self.fall() * HUNDRED > pct * self.high

    def fall_limit(self, pct: Decimal) -> Decimal:
        """`pct` of the high-water mark, in currency; for people. What decides is `drawdown_over`."""
        return down12(pct * (self.high or ZERO) * PERCENT)

    def usable(self) -> bool:
        """The account's worth is known and positive."""
        return self.trusted and self.equity > 0


def ratio_exactly(part: Decimal, whole: Decimal) -> Decimal:
    """`part / whole` to 60 digits, the one division of the fold (the flow factor of DD-1)."""
    return _DIVIDING.divide(part, whole)


def _base_amount(event: Equity, rules: Rules) -> Decimal:
    """DL-5: equity, balance or the larger, as configured; equity where the venue gives no balance."""
    balance = event.balance if event.balance is not None else event.equity
    match rules.risk.day.base:
        case "balance":
            return balance
        case "max":
            return max(balance, event.equity)
        case _:
            return event.equity
