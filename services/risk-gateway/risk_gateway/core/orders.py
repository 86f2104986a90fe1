"""Reservations: what an allowed order may still do, and how much of the limits it holds.

HELD from the ALLOW on; fills post, the rest is released by a terminal event. Past `valid_until` + grace without any
ORDER_EVENT it *reads* UNKNOWN and keeps counting: only knowledge releases (risk-semantics §4.5).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from fleet_contracts import OrderDecision, Side
from fleet_contracts.money import ZERO, product_up


@dataclass(slots=True, eq=False)
class Claim:
    """What one order adds to its symbol's sums: quantities in the symbol's unit, `notional` in the account's currency. Never
    changed once it is made (it is not frozen, for making a frozen one takes three times as long).
    """

    leaves: Decimal = ZERO
    qty: Decimal = ZERO
    notional: Decimal = ZERO

    def larger(self, other: "Claim") -> "Claim":
        """Component by component: what a modify holds until the venue confirms it (RS-7)."""
        return Claim(max(self.leaves, other.leaves), max(self.qty, other.qty), max(self.notional, other.notional))


NOTHING = Claim()


@dataclass(slots=True, eq=False)
class LiveOrder:
    """An allowed order that may still be filled. `opening` and `unit` are the recorded ones, never recomputed."""

    bot: str
    order_id: str
    symbol: str
    side: Side
    qty: Decimal
    leaves: Decimal
    opening: Decimal
    unit: Decimal
    """What one unit of quantity holds: worst price × contract × (1 + taker fee), rounded up."""
    price: Decimal | None
    """The worst price it was decided with."""
    since: datetime
    valid_until: datetime
    strategy: str | None
    replaces: str | None
    """What it was judged as a modify of; an order that merely named another one counts by itself."""
    seq: int
    line: int
    working: bool = False
    """The bot has reported something of it."""
    filled: Decimal = ZERO
    inherited: Decimal = ZERO
    """What the orders before it in a chain of modifies have filled since it was folded: at the venue they are one order."""
    closing: bool = False
    """The venue is done with it, but not all of what it filled has been reported yet."""
    superseded: bool = False
    """The venue has confirmed the modify that replaced it: it can only report late fills."""
    counted: Claim = NOTHING
    """What the sums hold for it now; exactly this is subtracted again."""
    untouched: Claim | None = None
    """Its claim while nothing has filled, when the decision has just worked it out."""
    older: "LiveOrder | None" = None
    """The live order it replaces."""
    newer: "LiveOrder | None" = None
    """The live order that replaces it, and counts for both."""

    @property
    def filled_in_all(self) -> Decimal:
        """Its own fills and the inherited ones: it only grows, so that two readings tell what came between."""
        return self.filled + self.inherited

    @property
    def claim(self) -> Claim:
        """Its own: the opening part that is still unfilled, at its recorded price."""
        if self.superseded:
            return NOTHING
        if self.untouched is not None and self.leaves is self.qty:
            return self.untouched
        qty = self.opening if self.opening <= self.leaves else self.leaves
        return Claim(self.leaves, qty, product_up(qty, self.unit))

    @property
    def combined(self) -> Claim:
        """Its own and, until the venue confirms, that of the orders it replaces: the larger of them."""
        return self.claim if self.older is None else self.claim.larger(self.older.combined)

    def state(self, now: datetime, grace: timedelta) -> str:
        """HELD, PARTLY_POSTED or UNKNOWN as it reads at `now`."""
        if self.closing or (not self.working and now > self.valid_until + grace):
            return "UNKNOWN"
        return "HELD" if self.leaves == self.qty else "PARTLY_POSTED"


def order_of(decision: OrderDecision, seq: int = 0, line: int = 0) -> LiveOrder:
    """The reservation an ALLOW makes, from the numbers it records."""
    assert decision.ts is not None
    allowed = decision.allowed_qty if decision.allowed_qty is not None else decision.qty
    return LiveOrder(
        bot=decision.bot,
        order_id=decision.order_id,
        symbol=decision.symbol,
        side=Side(decision.side),
        qty=allowed,
        leaves=allowed,
        opening=decision.opening_qty or ZERO,
        price=decision.hold_price,
        unit=decision.hold_unit if decision.hold_unit is not None else (decision.hold_price or ZERO),
        since=decision.ts,
        valid_until=decision.valid_until or decision.ts,
        strategy=decision.strategy,
        replaces=decision.replaces if decision.replaced_filled is not None else None,
        seq=seq,
        line=line,
    )
