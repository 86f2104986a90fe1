"""What once broke the core, one sentence each: numbers at the contract's bounds, and fills that say too little."""

from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fleet_contracts import Reason, TradingState
from parts.account_log import AccountLog
from parts.trading import bot_event, done, fill, setup

HUGE = Decimal("999999999999999.999999999999")
TINY = Decimal("0.000000000001")
EXTREMES = st.sampled_from([HUGE, -HUGE, TINY, -TINY, Decimal(0), Decimal(10_000), Decimal("1e9")])
VAST = {"max_order_notional": 10**14, "max_notional_per_symbol": 10**14, "max_gross_exposure": 10**14, "max_leverage": 10**6}


@pytest.fixture
def desk() -> AccountLog:
    return AccountLog(setup())


# Whatever a bot may say, the account goes on (bad input stops nothing; halting still works).


@given(
    fills=st.lists(st.tuples(st.sampled_from([HUGE, TINY, Decimal("1e9")]), st.sampled_from([HUGE, TINY, Decimal("1e9")]))),
    amounts=st.lists(st.tuples(EXTREMES, EXTREMES), max_size=8),
)
def test_numbers_at_the_bounds_of_the_contract_stop_neither_the_fold_nor_a_halt(
    fills: list[tuple[Decimal, Decimal]], amounts: list[tuple[Decimal, Decimal]]
) -> None:
    desk = AccountLog(setup())
    for number, (qty, price) in enumerate(fills):
        desk.store(*fill(f"x{number}", f"f{number}", str(qty), str(price), symbol="BTC-PERP", side="BUY"))
        desk.settle()
    for amount, deposits in amounts:
        desk.equity(str(amount), net_deposits=deposits)
    desk.halt("stop")
    assert desk.core.trading_state is TradingState.HALTED
    assert desk.judge("after", qty="1").event.reason != Reason.OK  # type: ignore[attr-defined]
    assert "stop" in desk.anew().state.halts


def test_a_decision_whose_numbers_do_not_fit_an_event_says_so_in_words_only(desk: AccountLog) -> None:
    desk.store(*fill("x", "f", str(HUGE), str(HUGE), symbol="ETH-PERP", side="BUY"))
    decision = desk.decide("a")
    assert (decision.reason, decision.value) == ("GROSS_EXPOSURE_TOO_LARGE", None)
    assert decision.message


def test_deposits_into_next_to_nothing_never_move_the_high_water_mark_out_of_the_calendar(desk: AccountLog) -> None:
    for number in range(6):
        desk.equity("10000.000000000001", net_deposits=Decimal(10_000 * number))
    assert desk.core.state.equity.high is not None
    assert desk.core.trading_state is TradingState.HALTED


# Every fill counts (invariant 1).


def test_a_fill_without_a_price_counts_at_the_price_the_order_was_held_at() -> None:
    desk = AccountLog(setup(max_notional_per_symbol=20_000, max_open_orders=100))
    allowed = Decimal(0)
    for number in range(60):
        decision = desk.decide(f"o{number}", qty="0.1")
        if decision.reason == Reason.OK:
            allowed += decision.qty
            report = {"order_id": f"o{number}", "status": "FILLED", "last_qty": Decimal("0.1"), "fill_id": f"f{number}"}
            desk.store(*bot_event("ORDER_EVENT", **report))
    assert Decimal(0) < allowed * 40_000 <= 20_000


def test_a_position_that_nobody_has_priced_denies_openings_until_somebody_does(desk: AccountLog) -> None:
    report = {"order_id": "x", "status": "FILLED", "last_qty": Decimal(1), "fill_id": "f", "symbol": "SOL-PERP", "side": "BUY"}
    desk.store(*bot_event("ORDER_EVENT", **report))
    decision = desk.decide("a")
    assert (decision.reason, decision.check) == ("NO_PRICE", "has_price")
    assert "SOL-PERP" in (decision.message or "")
    desk.equity("10000", positions=[{"symbol": "SOL-PERP", "qty": Decimal(1), "mark_price": Decimal(90)}])
    assert desk.decide("b").reason == Reason.OK


def test_filled_without_a_quantity_releases_nothing_before_the_fill_is_known(desk: AccountLog) -> None:
    desk.decide("a", qty="0.1")
    desk.store(*done("a", "FILLED"))
    assert desk.core.state.exposure.gross >= 4000
    desk.store(*fill("a", "f", "0.1", "40000"))
    assert desk.core.state.exposure.book("BTC-PERP").position == Decimal("0.1")
    assert not desk.core.state.orders


def test_a_late_fill_of_a_closed_order_needs_neither_symbol_nor_side(desk: AccountLog) -> None:
    desk.decide("a", qty="0.1")
    desk.store(*done("a"))
    desk.store(*fill("a", "late", "0.1", "40000"))
    assert desk.core.state.exposure.book("BTC-PERP").position == Decimal("0.1")


def test_a_fill_of_what_the_sdk_allowed_by_itself_posts_its_position(desk: AccountLog) -> None:
    verdict = {"symbol": "BTC-PERP", "side": "SELL", "order_type": "LIMIT", "qty": Decimal("0.1"), "price": Decimal(40000)}
    desk.store(*bot_event("LOCAL_VERDICT", order_id="local", decision="ALLOW", reason="BUS_AWAY", **verdict))
    desk.store(*fill("local", "f", "0.1", "40000"))
    assert desk.core.state.exposure.book("BTC-PERP").position == Decimal("-0.1")
    assert desk.core.state.ungated_fills == 1


def test_a_fill_that_belongs_nowhere_is_an_incident_until_it_says_where(
    desk: AccountLog,
) -> None:
    for _ in range(2):
        desk.store(*fill("ghost", "f", "0.1", "40000"))
    assert desk.core.state.unplaced_fills == 1
    for _ in range(2):
        desk.store(*fill("ghost", "f", "0.1", "40000", symbol="BTC-PERP", side="BUY"))
    assert desk.core.state.exposure.book("BTC-PERP").position == Decimal("0.1")
