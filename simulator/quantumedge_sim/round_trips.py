"""Closed round trips out of fills: from flat to flat, or to the other side. Pure."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from fleet_contracts import Side
from fleet_contracts.money import ZERO, half_even12, ratio
from quantumedge_sim.ledger import signed
from quantumedge_sim.venue_order import Report


@dataclass(slots=True)
class Trip:
    """A position from its first fill on. Quantities unsigned, amounts in currency; `slipped` = Σ bps × notional."""

    position_id: str
    side: Side
    strategy: str
    regime: str
    opened_at: datetime
    entered: Decimal = ZERO
    paid: Decimal = ZERO
    left: Decimal = ZERO
    received: Decimal = ZERO
    fees: Decimal = ZERO
    slipped: Decimal = ZERO

    @property
    def is_flat(self) -> bool:
        return self.entered == self.left

    @property
    def pnl(self) -> Decimal:
        """Net of fees; meaningful when flat."""
        gross = self.received - self.paid
        return (gross if self.side is Side.BUY else -gross) - self.fees

    @property
    def exit_price(self) -> Decimal:
        return ratio(self.received, self.left)

    @property
    def slippage_bps(self) -> Decimal:
        """Of all its fills, weighted by notional."""
        return ratio(self.slipped, self.paid + self.received).quantize(Decimal("0.0001"))


@dataclass(frozen=True, slots=True)
class Closed:
    """A finished trip, and the order that finished it."""

    trip: Trip
    order_id: str
    at: datetime


class RoundTrips:
    """Follows the one position of a symbol. Single owner."""

    def __init__(self, bot: str) -> None:
        self._bot = bot
        self._count = 0
        self.open: Trip | None = None

    @property
    def position_id(self) -> str:
        """Of the open position, or of the next one."""
        return f"{self._bot}-p{self._count if self.open is not None else self._count + 1}"

    def fill(self, report: Report, at: datetime, strategy: str, regime: str) -> Closed | None:
        """Take one fill; gives the trip it closed, if it did."""
        assert report.last_qty is not None
        trip = self.open
        if trip is None or trip.side is report.side:
            self._enter(report, report.last_qty, report.fee or ZERO, at, strategy, regime)
            return None
        closing = min(report.last_qty, trip.entered - trip.left)
        fee = report.fee or ZERO
        share = fee if closing == report.last_qty else half_even12(fee * ratio(closing, report.last_qty))
        self._leave(trip, report, closing, share)
        if not trip.is_flat:
            return None
        self.open = None
        if closing < report.last_qty:
            self._enter(report, report.last_qty - closing, fee - share, at, strategy, regime)
        return Closed(trip, report.order_id, at)

    def _enter(self, report: Report, qty: Decimal, fee: Decimal, at: datetime, strategy: str, regime: str) -> None:
        if self.open is None:
            self._count += 1
            self.open = Trip(f"{self._bot}-p{self._count}", report.side, strategy, regime, at)
        notional = qty * (report.last_price or ZERO)
        self.open.entered += qty
        self.open.paid += notional
        self.open.fees += fee
        self.open.slipped += (report.slippage_bps or ZERO) * notional

    @staticmethod
    def _leave(trip: Trip, report: Report, qty: Decimal, fee: Decimal) -> None:
        notional = qty * (report.last_price or ZERO)
        trip.left += qty
        trip.received += notional
        trip.fees += fee
        trip.slipped += (report.slippage_bps or ZERO) * notional

    @property
    def position(self) -> Decimal:
        """The signed open quantity."""
        return ZERO if self.open is None else signed(self.open.side, self.open.entered - self.open.left)

    def dump(self) -> dict[str, Any]:
        """As plain JSON values."""
        trip = self.open
        amounts = ("entered", "paid", "left", "received", "fees", "slipped")
        return {
            "count": self._count,
            "open": None
            if trip is None
            else {
                "position_id": trip.position_id,
                "side": trip.side,
                "strategy": trip.strategy,
                "regime": trip.regime,
                "opened_at": trip.opened_at.isoformat(),
                **{name: format(getattr(trip, name), "f") for name in amounts},
            },
        }

    @classmethod
    def load(cls, bot: str, fields: dict[str, Any]) -> Self:
        """Out of `dump`. Raises KeyError, TypeError, ValueError or ArithmeticError when it is none."""
        trips = cls(bot)
        trips._count = int(fields["count"])
        raw = fields["open"]
        if raw is not None:
            amounts = ("entered", "paid", "left", "received", "fees", "slipped")
            trips.open = Trip(
                raw["position_id"],
                Side(raw["side"]),
                raw["strategy"],
                raw["regime"],
                datetime.fromisoformat(raw["opened_at"]),
                *(Decimal(raw[name]) for name in amounts),
            )
        return trips
