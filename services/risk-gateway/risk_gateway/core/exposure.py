"""Exposure as kept sums: O(1) per decision, the very same numbers added and later subtracted.

For one symbol, with signed position `p`, newest folded price `px`, and per side the leaves and claims of live orders:

    uncovered(side) = max(0, leaves(side) − max(0, position the side reduces) − claimed(side))
    exposure        = |p|·px + held notional of both sides + (uncovered(BUY) + uncovered(SELL))·px

`uncovered` is what a claim no longer covers because the position it was to reduce has gone (docs/decisions/0002). With
fixed prices only an ALLOW raises the sum, by exactly its opening part.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from fleet_contracts import Side
from fleet_contracts.money import ZERO, product_up
from risk_gateway.core.orders import NOTHING, Claim, LiveOrder


@dataclass(slots=True)
class SideSums:
    """Of one side's live orders: leaves and claimed quantity (symbol's unit), held notional (currency)."""

    leaves: Decimal = ZERO
    qty: Decimal = ZERO
    notional: Decimal = ZERO
    uncovered: Decimal = ZERO
    """Leaves that neither reduce the position nor are claimed; kept by the book."""

    def move(self, old: Claim, new: Claim) -> None:
        """Replace one order's contribution."""
        if old is not NOTHING:
            self.leaves -= old.leaves
            self.qty -= old.qty
            self.notional -= old.notional
        if new is not NOTHING:
            self.leaves += new.leaves
            self.qty += new.qty
            self.notional += new.notional


@dataclass(slots=True)
class SymbolBook:
    """One symbol's sums. `price` is None until something was priced; `contract` as the limits say."""

    contract: Decimal = Decimal(1)
    position: Decimal = ZERO
    price: Decimal | None = None
    buy: SideSums = field(default_factory=SideSums)
    sell: SideSums = field(default_factory=SideSums)
    exposure: Decimal = ZERO

    def side(self, side: Side) -> SideSums:
        return self.buy if side is Side.BUY else self.sell

    def reducible(self, side: Side) -> Decimal:
        """The position an order of this side reduces, as a positive quantity."""
        if not self.position:
            return ZERO
        return max(ZERO, -self.position if side is Side.BUY else self.position)

    def room_to_reduce(self, side: Side, without: Claim | None = None) -> Decimal:
        """R of OP-1: the reducible position less the leaves already on their way to reduce it."""
        reducible = self.reducible(side)
        if not reducible:
            return ZERO
        leaves = self.side(side).leaves - (without.leaves if without else ZERO)
        return max(ZERO, reducible - leaves)

    def uncovered(self, side: Side) -> Decimal:
        """Leaves of a side that neither reduce the position nor are claimed."""
        sums = self.side(side)
        if not sums.leaves:
            return ZERO
        rest = sums.leaves - sums.qty
        if self.position:
            rest -= self.reducible(side)
        return rest if rest > ZERO else ZERO

    def revalue(self) -> None:
        """Make `exposure` anew: in the account's currency, rounded up."""
        self.buy.uncovered, self.sell.uncovered = self.uncovered(Side.BUY), self.uncovered(Side.SELL)
        self.exposure = self.buy.notional + self.sell.notional
        if self.price is not None:
            open_qty = abs(self.position) + self.buy.uncovered + self.sell.uncovered
            self.exposure += product_up(open_qty, self.price, self.contract)


EMPTY = SymbolBook()
"""A symbol of which nothing is known. Only to look at."""


class Exposure:
    """All symbols of an account, and their gross sum. Live: it counts folded orders and those of the overlay."""

    def __init__(self) -> None:
        self.books: dict[str, SymbolBook] = {}
        self.gross = ZERO
        self.unpriced: set[str] = set()
        """Symbols with a position and no price: the gross sum does not know them."""

    def book(self, symbol: str) -> SymbolBook:
        """The symbol's sums, to look at."""
        return self.books.get(symbol, EMPTY)

    def recount(self, order: LiveOrder) -> None:
        """Bring an order's contribution in line with what it may still do; a replaced order counts in its successor."""
        self._count(order, NOTHING if order.newer is not None else order.combined)

    def remove(self, order: LiveOrder) -> None:
        """The order can do nothing any more."""
        self._count(order, NOTHING)

    def fill(self, symbol: str, side: Side, qty: Decimal, price: Decimal | None, hold_price: Decimal | None) -> None:
        """Post a fill: the position moves, its price is the newest. Where there is none at all, the price that the order was
        held at counts.
        """
        book = self._open(symbol)
        book.position += qty if side is Side.BUY else -qty
        if price:
            book.price = price
        elif book.price is None:
            book.price = hold_price
        self._revalue(symbol, book)

    def adjust(self, symbol: str, change: Decimal, price: Decimal | None) -> None:
        """A person takes over a position as the venue reports it: it moves by `change`, and has the reported price."""
        book = self._open(symbol)
        book.position += change
        book.price = price or book.price
        self._revalue(symbol, book)

    def reprice(self, symbol: str, price: Decimal) -> None:
        """A newer price of a symbol we hold or trade."""
        book = self.books.get(symbol)
        if book is not None:
            book.price = price
            self._revalue(symbol, book)

    def rescale(self, contracts: dict[str, Decimal]) -> None:
        """New limits may carry new contract sizes."""
        for symbol, book in self.books.items():
            book.contract = contracts.get(symbol, Decimal(1))
            self._revalue(symbol, book)
        for symbol, contract in contracts.items():
            if symbol not in self.books:
                self.books[symbol] = SymbolBook(contract=contract)

    def revalue(self, symbol: str) -> None:
        """Bring a restored book's exposure in line with its sums."""
        self._revalue(symbol, self.books[symbol])

    def _count(self, order: LiveOrder, claim: Claim) -> None:
        """Put a claim in the place of the one that was counted. While as much is covered as before, only the held sum moves."""
        book = self._open(order.symbol)
        sums, old = book.side(order.side), order.counted
        sums.move(old, claim)
        order.counted = claim
        if book.uncovered(order.side) == sums.uncovered:
            change = claim.notional - old.notional
            book.exposure += change
            self.gross += change
        else:
            self._revalue(order.symbol, book)

    def _open(self, symbol: str) -> SymbolBook:
        book = self.books.get(symbol)
        if book is None:
            book = self.books[symbol] = SymbolBook()
        return book

    def _revalue(self, symbol: str, book: SymbolBook) -> None:
        before = book.exposure
        book.revalue()
        self.gross += book.exposure - before
        if book.price is None and book.position:
            self.unpriced.add(symbol)
        elif self.unpriced:
            self.unpriced.discard(symbol)


def recompute(exposure: Exposure, orders: list[LiveOrder]) -> Exposure:
    """The same sums from nothing: positions, prices and every live order anew. For tests and self-checks."""
    fresh = Exposure()
    for symbol, book in exposure.books.items():
        fresh.books[symbol] = SymbolBook(contract=book.contract, position=book.position, price=book.price)
        fresh._revalue(symbol, fresh.books[symbol])
    for order in orders:
        claim = NOTHING if order.newer is not None else order.combined
        book = fresh._open(order.symbol)
        book.side(order.side).move(NOTHING, claim)
        fresh._revalue(order.symbol, book)
    return fresh
