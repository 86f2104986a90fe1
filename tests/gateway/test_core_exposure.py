"""Opening part, reducible position and uncovered quantity: the vectors of risk-semantics §4.4, and decision 0002."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from fleet_contracts import Entry, OrderDecision, Provenance, parse, split_subject
from parts.trading import done, equity, fill, order, setup
from risk_gateway.core.account import Account, Asked, NewDecision

NOW = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
PRICE = "100"


class Desk:
    """An account with room for about one unit at a time, and a log of one line a message."""

    def __init__(self, symbol_limit: str = "1000000") -> None:
        generous = {"max_order_notional": 100000, "max_gross_exposure": 1000000, "max_leverage": 100}
        self.core = Account("main", setup(max_notional_per_symbol=symbol_limit, **generous))
        self.seq = 0
        for _ in range(3):
            for fact in self.core.owed(NOW):
                self.store(f"fleet.main.{fact.event.event_type.lower()}.risk-gateway", fact.line, "gw.1")
            if self.seq == 1:
                self.store(*equity("10000", NOW))

    def store(self, subject: str, body: bytes, leader: str | None = None) -> None:
        self.seq += 1
        for line in parse(subject, body, Provenance("FLEET", self.seq, NOW)).lines:
            self.core.evolve(Entry(split_subject(subject), line.event, line.raw, self.seq, line.index, NOW, leader))

    def ask(self, order_id: str, side: str, qty: str, **more: object) -> OrderDecision:
        judged = self.core.judge(Asked(order(order_id, side, qty, PRICE, **more), "qe1", "http", NOW))
        assert isinstance(judged, NewDecision)
        self.store("fleet.main.order_decision.risk-gateway", judged.fact.line, "gw.1")
        assert isinstance(judged.fact.event, OrderDecision)
        return judged.fact.event

    def position(self, side: str, qty: str) -> None:
        """A position by an order that is all done."""
        self.ask("start", side, qty)
        self.store(*fill("start", "f", qty, PRICE, "FILLED"))


@pytest.mark.parametrize(
    ("position", "working", "side", "qty", "reduce_only", "opening", "reason"),
    [
        ("+1", None, "SELL", "3", True, "2", "REDUCE_ONLY_WOULD_FLIP"),
        ("+1", None, "SELL", "3", False, "2", "OK"),
        ("+1", "1", "SELL", "1", False, "1", "OK"),
        ("+0", None, "BUY", "1", False, "1", "OK"),
        ("+1", "1", "SELL", "1", True, "1", "REDUCE_ONLY_WOULD_FLIP"),
        ("+1", None, "BUY", "1", False, "1", "OK"),
        ("-1", None, "BUY", "1", True, "0", "OK"),
        ("-2", "0.5", "BUY", "2", False, "0.5", "OK"),
    ],
)
def test_the_opening_part_of_an_order(
    position: str, working: str | None, side: str, qty: str, reduce_only: bool, opening: str, reason: str
) -> None:
    desk = Desk()
    if position[1:] != "0":
        desk.position("BUY" if position[0] == "+" else "SELL", position[1:])
    if working:
        desk.ask("working", side, working)
    decision = desk.ask("asked", side, qty, reduce_only=reduce_only)
    assert (decision.opening_qty, decision.reason) == (Decimal(opening), reason)


def test_what_a_claim_no_longer_covers_still_counts() -> None:
    """Decision 0002: the reducing order rests, the opening one fills first; a third would pass the limit."""
    desk = Desk(symbol_limit="250")
    desk.position("BUY", "1")
    assert desk.ask("reducing", "SELL", "1").opening_qty == 0
    assert desk.ask("opening", "SELL", "1").opening_qty == 1
    desk.store(*fill("opening", "f", "1", PRICE, "FILLED"))
    book = desk.core.state.exposure.book("BTC-PERP")
    assert book.position == 0
    assert book.exposure == 100, "the resting sell of 1 would open a short of 1"
    assert desk.ask("third", "SELL", "2").reason == "SYMBOL_NOTIONAL_TOO_LARGE"


def test_a_modify_holds_the_larger_of_the_two_until_the_venue_confirms() -> None:
    desk = Desk()
    desk.ask("old", "BUY", "1")
    assert desk.core.state.exposure.gross == Decimal("100.05")
    desk.ask("new", "BUY", "3", replaces="old")
    assert desk.core.state.exposure.gross == Decimal("300.15")
    desk.store(*done("old"))
    assert desk.core.state.exposure.gross == Decimal("300.15")
    desk.ask("smaller", "BUY", "2", replaces="new")
    assert desk.core.state.exposure.gross == Decimal("300.15"), "the larger one may still fill"
    desk.store(*done("smaller", "WORKING"))
    assert desk.core.state.exposure.gross == Decimal("200.1")


def test_a_fill_moves_what_is_held_into_the_position_and_a_cancel_gives_the_rest_back() -> None:
    desk = Desk()
    desk.ask("a", "BUY", "1")
    desk.store(*fill("a", "f1", "0.4", PRICE))
    book = desk.core.state.exposure.book("BTC-PERP")
    assert (book.position, book.buy.notional) == (Decimal("0.4"), Decimal("60.03"))
    desk.store(*done("a", filled_qty=Decimal("0.4")))
    assert (book.position, book.buy.notional, book.exposure) == (Decimal("0.4"), 0, 40)


def test_a_fill_over_the_hold_is_booked_and_counted() -> None:
    """RS-3: the position is what was filled; a hold never goes negative."""
    desk = Desk()
    desk.ask("a", "BUY", "1")
    desk.store(*fill("a", "f1", "1.5", PRICE))
    book = desk.core.state.exposure.book("BTC-PERP")
    assert (book.position, book.buy.notional, desk.core.state.overfills) == (Decimal("1.5"), 0, 1)


def test_a_fill_of_an_order_nobody_asked_about_is_booked_as_ungated() -> None:
    desk = Desk()
    desk.store(*fill("stranger", "f1", "1", PRICE, symbol="BTC-PERP", side="SELL"))
    assert desk.core.state.exposure.book("BTC-PERP").position == -1
    assert desk.core.state.ungated_fills == 1


def test_an_end_that_overtakes_a_fill_keeps_counting_what_was_filled() -> None:
    desk = Desk()
    desk.ask("a", "BUY", "1")
    desk.store(*done("a", "CANCELLED", filled_qty=Decimal("0.3")))
    assert desk.core.state.exposure.gross == Decimal("30.015")
    desk.store(*fill("a", "f1", "0.3", PRICE, filled_qty=Decimal("0.3")))
    assert desk.core.state.exposure.book("BTC-PERP").position == Decimal("0.3")
    assert not desk.core.state.orders
