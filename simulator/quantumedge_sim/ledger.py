"""The account at the venue: cash, one netted position per symbol, fees. Exact, and nothing is lost in a rounding.

For any history of fills, with every symbol at its mark:
    equity = deposits + Σ(−signed quantity × price) + Σ(position × mark) − Σ fees
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

from fleet_contracts import Side
from fleet_contracts.money import ZERO, half_even12, ratio


def signed(side: Side, qty: Decimal) -> Decimal:
    """A quantity with its direction: positive buys."""
    return qty if side is Side.BUY else -qty


@dataclass(slots=True)
class Holding:
    """A netted position. `qty` and `cost` carry the direction's sign; cost = what the open quantity was bought for."""

    qty: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def avg_price(self) -> Decimal:
        """The entry price, to 12 places; zero when flat."""
        return ratio(self.cost, self.qty)

    def unrealized(self, mark: Decimal) -> Decimal:
        """What closing at `mark` would gain, before fees."""
        return self.qty * mark - self.cost

    def fill(self, change: Decimal, price: Decimal) -> Decimal:
        """Take a signed quantity at a price; returns the profit it realized. A fill may turn the position around."""
        closing = ZERO
        if self.qty and (change > 0) != (self.qty > 0):
            closing = min(abs(change), abs(self.qty))
        opening = change + closing if change < 0 else change - closing
        gain = ZERO
        if closing:
            freed = self.cost if closing == abs(self.qty) else half_even12(self.cost * ratio(closing, abs(self.qty)))
            closed = closing if self.qty > 0 else -closing
            gain = closed * price - freed
            self.qty -= closed
            self.cost -= freed
        self.qty += opening
        self.cost += opening * price
        return gain


@dataclass(slots=True)
class Ledger:
    """All holdings of the account. Amounts in the account's currency."""

    deposits: Decimal
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    holdings: dict[str, Holding] = field(default_factory=dict)
    marks: dict[str, Decimal] = field(default_factory=dict)

    def holding(self, symbol: str) -> Holding:
        """The position in a symbol; flat when it was never traded."""
        return self.holdings.get(symbol) or Holding()

    def fill(self, symbol: str, side: Side, qty: Decimal, price: Decimal, fee: Decimal) -> Decimal:
        """Book a fill; returns the profit it realized, before its fee."""
        gain = self.holdings.setdefault(symbol, Holding()).fill(signed(side, qty), price)
        self.realized += gain
        self.fees += fee
        self.marks[symbol] = price
        return gain

    @property
    def balance(self) -> Decimal:
        """Cash: deposits, realized profit, less fees."""
        return self.deposits + self.realized - self.fees

    @property
    def unrealized(self) -> Decimal:
        """Of all open positions, at their marks."""
        return sum((held.unrealized(self.marks[symbol]) for symbol, held in self.holdings.items() if held.qty), ZERO)

    @property
    def equity(self) -> Decimal:
        """What the account is worth at its marks."""
        return self.balance + self.unrealized

    @property
    def gross(self) -> Decimal:
        """The notional of all positions, regardless of direction."""
        return sum((abs(held.qty) * self.marks[symbol] for symbol, held in self.holdings.items() if held.qty), ZERO)

    def dump(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "deposits": str(self.deposits),
            "realized": str(self.realized),
            "fees": str(self.fees),
            "holdings": {symbol: [str(held.qty), str(held.cost)] for symbol, held in self.holdings.items()},
            "marks": {symbol: str(mark) for symbol, mark in self.marks.items()},
        }

    @classmethod
    def load(cls, fields: dict[str, Any]) -> Self:
        """A ledger out of `dump`. Raises KeyError, ValueError or ArithmeticError when it is none."""
        return cls(
            Decimal(fields["deposits"]),
            Decimal(fields["realized"]),
            Decimal(fields["fees"]),
            {symbol: Holding(Decimal(qty), Decimal(cost)) for symbol, (qty, cost) in fields["holdings"].items()},
            {symbol: Decimal(mark) for symbol, mark in fields["marks"].items()},
        )
