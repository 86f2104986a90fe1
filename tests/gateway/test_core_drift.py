"""Positions out of fills against positions reported (R11): a race is no drift, a drift blocks entries until it is settled.

One file, though long: report, race, drift, settling and coverage are looked at on one account and its reports.
"""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from fleet_contracts import AccountClock, Anomaly
from parts.account_log import AccountLog
from parts.trading import bot_event, done, equity, fill, order, setup
from risk_gateway.core.account import Account, Asked, NewDecision
from risk_gateway.core.reconciling import NotReconcilable, reconcile_fact

BTC = "BTC-PERP"


@pytest.fixture
def desk() -> AccountLog:
    return AccountLog(setup(position_drift_qty="0"))


def shown(desk: AccountLog, *positions: tuple[str, str], after_s: float = 1, age_s: float = 0, mark: str = "40000") -> None:
    """An EQUITY that shows these positions, made `age_s` before it arrives."""
    desk.now += timedelta(seconds=after_s)
    rows = [{"symbol": symbol, "qty": Decimal(qty), "mark_price": Decimal(mark)} for symbol, qty in positions]
    desk.store(*equity("10000", desk.now - timedelta(seconds=age_s), positions=rows))
    desk.settle()


def traded(desk: AccountLog, order_id: str, qty: str = "0.1", side: str = "BUY") -> None:
    """An order that is allowed and filled."""
    assert desk.decide(order_id, side, qty, reduce_only=side == "SELL").reason == "OK"
    desk.now += timedelta(seconds=1)
    desk.store(*fill(order_id, "f", qty, "40000", "FILLED"))


def reason(desk: AccountLog, **more: Any) -> str:
    return str(desk.judge(f"ask-{desk.now.timestamp():.0f}-{len(desk.entries)}", **more).event.reason)  # type: ignore[attr-defined]


def alarms(desk: AccountLog, kind: str = "POSITION_DRIFT") -> list[Anomaly]:
    events = [entry.event for entry in desk.entries]
    return [event for event in events if isinstance(event, Anomaly) and event.kind == kind]


def reconcile(desk: AccountLog, qty: str, symbol: str = BTC) -> None:
    desk.arrive(*desk.hold(reconcile_fact(desk.core.state, "main", symbol, Decimal(qty), f"c{len(desk.entries)}", desk.now)))


# What is a drift.


def test_positions_that_agree_block_nothing(desk: AccountLog) -> None:
    traded(desk, "a")
    for _ in range(5):
        shown(desk, (BTC, "0.1"))
    assert reason(desk) == "OK"
    assert alarms(desk) == []


def test_a_difference_in_two_reports_two_seconds_apart_blocks_entries_of_that_symbol_alone(desk: AccountLog) -> None:
    traded(desk, "a")
    shown(desk, (BTC, "0.3"))
    assert reason(desk) == "OK"
    shown(desk, (BTC, "0.3"), after_s=2)
    denied = desk.judge("b").event
    assert (denied.reason, denied.value, denied.limit, denied.check) == (  # type: ignore[attr-defined]
        "POSITION_DRIFT",
        Decimal("0.2"),
        Decimal(0),
        "position_agrees",
    )
    assert "is 0.1 by fills and 0.3 as reported, since 2026-03-10T12:" in str(denied.message)  # type: ignore[attr-defined]
    assert reason(desk, symbol="ETH-PERP", price="2000") == "OK"


def test_a_reduction_passes_whatever_drifts(desk: AccountLog) -> None:
    """Invariant 4."""
    traded(desk, "a")
    for _ in range(4):
        shown(desk)
    assert reason(desk) == "POSITION_DRIFT"
    assert reason(desk, side="SELL", qty="0.1", reduce_only=True) == "OK"


def test_a_difference_up_to_the_bound_is_none_and_one_just_over_it_is_one() -> None:
    desk = AccountLog(setup(position_drift_qty="0.05"))
    traded(desk, "a")
    for _ in range(4):
        shown(desk, (BTC, "0.15"))
    assert reason(desk) == "OK"
    for _ in range(4):
        shown(desk, (BTC, "0.150000000001"))
    assert reason(desk) == "POSITION_DRIFT"


def test_without_the_limit_a_difference_blocks_nothing_and_alarms_nobody() -> None:
    desk = AccountLog(setup())
    traded(desk, "a")
    for _ in range(4):
        shown(desk, (BTC, "0.3"))
    assert reason(desk) == "OK"
    assert alarms(desk) == []


def test_a_symbol_that_a_report_does_not_name_is_flat_and_one_without_a_list_says_nothing(desk: AccountLog) -> None:
    traded(desk, "a")
    for _ in range(4):
        desk.equity("10000")
    assert reason(desk) == "OK"
    for _ in range(4):
        shown(desk, ("ETH-PERP", "0"))
    assert reason(desk) == "POSITION_DRIFT"


def test_only_the_equity_source_is_believed(desk: AccountLog) -> None:
    traded(desk, "a")
    for _ in range(4):
        desk.now += timedelta(seconds=1)
        desk.store(*bot_event("EQUITY", desk.now, bot="qe2", equity=Decimal(10000), positions=[]))
    assert reason(desk) == "OK"


def test_two_legs_of_one_symbol_are_netted(desk: AccountLog) -> None:
    traded(desk, "a")
    for _ in range(4):
        shown(desk, (BTC, "0.3"), (BTC, "-0.2"))
    assert reason(desk) == "OK"


def test_a_position_from_before_the_fleet_knew_the_bot_blocks_at_once(desk: AccountLog) -> None:
    """Nobody has traded the symbol here: no fill can be on its way."""
    shown(desk, (BTC, "0.2"))
    assert reason(desk) == "POSITION_DRIFT"
    assert len(alarms(desk)) == 1


# Races: fills and reports overtake each other, and that is no drift.


@pytest.mark.parametrize("arrivals", list(permutations(["f1", "f2", "r1", "r2"])))
def test_no_order_of_arrival_of_two_fills_and_two_reports_is_a_drift_once_all_have_arrived(
    desk: AccountLog, arrivals: tuple[str, ...]
) -> None:
    """At the venue: f1, r1, f2, r2, a second apart. They arrive within a second, in any order; then the venue reports again."""
    made_at = {"f1": 1, "r1": 2, "f2": 3, "r2": 4}
    for order_id in ("f1", "f2"):
        assert desk.decide(order_id, qty="0.05").reason == "OK"
    begun = desk.now
    desk.now += timedelta(seconds=5)
    for what in arrivals:
        desk.now += timedelta(milliseconds=200)
        at = begun + timedelta(seconds=made_at[what])
        if what.startswith("f"):
            desk.store(*fill(what, "f", "0.05", "40000", "FILLED", ts=at))
        else:
            qty = Decimal("0.05") if what == "r1" else Decimal("0.1")
            desk.store(*equity("10000", at, positions=[{"symbol": BTC, "qty": qty, "mark_price": Decimal(40000)}]))
        assert reason(desk) == "OK", what
        desk.settle()
    shown(desk, (BTC, "0.1"))
    assert reason(desk) == "OK"
    shown(desk, (BTC, "0.1"), after_s=3)
    assert reason(desk) == "OK"
    assert alarms(desk) == []
    assert desk.anew().dump() == desk.core.dump()


@pytest.mark.parametrize("late_s", [0.5, 1.5, 1.9])
def test_a_fill_that_arrives_within_two_seconds_of_the_report_that_had_it_is_no_drift(desk: AccountLog, late_s: float) -> None:
    assert desk.decide("a", qty="0.1").reason == "OK"
    shown(desk, (BTC, "0.1"))
    desk.now += timedelta(seconds=late_s)
    desk.store(*fill("a", "f", "0.1", "40000", "FILLED"))
    shown(desk, (BTC, "0.1"), after_s=2)
    assert reason(desk) == "OK"
    assert alarms(desk) == []


def test_a_report_made_before_the_newest_fill_arrived_is_not_compared(desk: AccountLog) -> None:
    traded(desk, "a")
    for _ in range(4):
        shown(desk, age_s=1.5)
    assert reason(desk) == "POSITION_DRIFT", "the later ones are newer"
    traded_again = AccountLog(setup(position_drift_qty="0"))
    for number in range(4):
        traded(traded_again, f"a{number}", "0.01")
        shown(traded_again, (BTC, "0"), age_s=1.5)
    assert reason(traded_again) == "OK"


def test_fills_that_go_on_do_not_hide_a_difference(desk: AccountLog) -> None:
    for number in range(4):
        traded(desk, f"a{number}", "0.01")
        shown(desk, (BTC, str(Decimal("0.05") + Decimal("0.01") * (number + 1))))
        if reason(desk) == "POSITION_DRIFT":
            return
    pytest.fail("a missing 0.05 was not seen among fills")


def test_under_a_virtual_clock_reports_count_in_the_order_of_their_candles() -> None:
    desk = AccountLog(setup(AccountClock.EVENT, position_drift_qty="0"))
    desk.store(*equity("10000", desk.now, positions=[]))
    desk.settle()
    assert desk.core.judge(Asked(order("a", ts=desk.now), "qe1", "http", desk.now)).refusal is None  # type: ignore[union-attr]
    for number in range(3):
        desk.now += timedelta(minutes=1)
        desk.store(*fill(f"x{number}", "f", "0.1", "40000", "FILLED", ts=desk.now, symbol=BTC, side="BUY"))
        held = [{"symbol": BTC, "qty": Decimal("0.1") * (number + 1), "mark_price": Decimal(40000)}]
        desk.store(*equity("10000", desk.now, positions=held))
        desk.settle()
    judged = desk.core.judge(Asked(order("b", ts=desk.now), "qe1", "http", desk.now))
    assert isinstance(judged, NewDecision)
    assert judged.refusal is None or judged.refusal.reason != "POSITION_DRIFT"
    assert alarms(desk) == []


# What ends it.


def test_a_report_that_agrees_ends_a_drift_and_a_fill_alone_does_not(desk: AccountLog) -> None:
    traded(desk, "a")
    for _ in range(4):
        shown(desk, (BTC, "0.15"))
    desk.now += timedelta(seconds=1)
    desk.store(*fill("late", "f", "0.05", "40000", "FILLED", symbol=BTC, side="BUY"))
    assert reason(desk) == "POSITION_DRIFT"
    shown(desk, (BTC, "0.15"))
    assert reason(desk) == "OK"


def test_a_drift_is_told_of_once_and_the_next_one_again(desk: AccountLog) -> None:
    traded(desk, "a")
    for _ in range(9):
        shown(desk, (BTC, "0.3"))
    (told,) = alarms(desk)
    assert (told.value, told.threshold) == (Decimal("0.2"), Decimal(0))
    assert (told.evidence["by_fills"], told.evidence["reported"]) == ("0.1", "0.3")
    shown(desk, (BTC, "0.1"))
    for _ in range(4):
        shown(desk, (BTC, "0.3"))
    assert len({alarm.event_id for alarm in alarms(desk)}) == len(alarms(desk)) == 2


def test_a_person_takes_over_what_is_reported_with_its_price(desk: AccountLog) -> None:
    traded(desk, "a")
    for _ in range(4):
        shown(desk, (BTC, "0.2"), mark="41000")
    reconcile(desk, "0.2")
    book = desk.core.state.exposure.book(BTC)
    assert (book.position, book.price, book.exposure) == (Decimal("0.2"), Decimal(41000), Decimal(8200))
    assert reason(desk) == "OK"
    for _ in range(4):
        shown(desk, (BTC, "0.2"))
    assert reason(desk) == "OK"
    assert desk.anew().dump() == desk.core.dump()


def test_a_position_from_before_comes_in_by_the_same_command_and_counts_against_the_limits(desk: AccountLog) -> None:
    """Invariant 1 holds again from then on: 0.2 at 40,000 of a limit of 10,000."""
    shown(desk, (BTC, "-0.2"))
    reconcile(desk, "-0.2")
    assert reason(desk, side="SELL", qty="0.06") == "SYMBOL_NOTIONAL_TOO_LARGE"
    assert reason(desk, side="BUY", qty="0.1") == "OK"


def test_a_position_from_before_comes_in_without_the_limit_too() -> None:
    desk = AccountLog(setup())
    shown(desk, (BTC, "0.2"))
    reconcile(desk, "0.2")
    assert desk.core.state.exposure.book(BTC).position == Decimal("0.2")


def test_a_fill_folded_between_the_approval_and_its_record_stays_counted(desk: AccountLog) -> None:
    traded(desk, "a")
    for _ in range(4):
        shown(desk, (BTC, "0.2"))
    (fact,) = desk.hold(reconcile_fact(desk.core.state, "main", BTC, Decimal("0.2"), "c", desk.now))
    desk.store(*fill("b", "f", "0.03", "40000", "FILLED", symbol=BTC, side="BUY"))
    desk.arrive(fact)
    assert desk.core.state.exposure.book(BTC).position == Decimal("0.23")
    assert desk.anew().dump() == desk.core.dump()


@pytest.mark.parametrize("how", ["NOT_REPORTED", "CHANGED", "NO_DRIFT", "NOT_SETTLED", "STALE_EQUITY"])
def test_what_cannot_be_taken_over_says_why(desk: AccountLog, how: str) -> None:
    symbol, qty = BTC, Decimal("0.3")
    traded(desk, "a")
    for _ in range(4):
        shown(desk, (BTC, "0.1" if how == "NO_DRIFT" else "0.3"))
    match how:
        case "NOT_REPORTED":
            symbol = "DOGE-PERP"
        case "CHANGED":
            qty = Decimal("0.31")
        case "NO_DRIFT":
            qty = Decimal("0.1")
        case "NOT_SETTLED":
            desk.store(*fill("b", "f", "0.01", "40000", "FILLED", symbol=BTC, side="BUY"))
        case _:
            desk.now += timedelta(seconds=31)
    with pytest.raises(NotReconcilable) as refusal:
        reconcile_fact(desk.core.state, "main", symbol, qty, "c", desk.now)
    assert refusal.value.code == how


def test_a_restart_in_the_middle_of_a_difference_goes_on_from_there(desk: AccountLog) -> None:
    """Invariant 7."""
    traded(desk, "a")
    shown(desk, (BTC, "0.3"))
    desk.core = Account.load("main", desk.setup, desk.core.dump())
    shown(desk, (BTC, "0.3"), after_s=2)
    assert reason(desk) == "POSITION_DRIFT"
    before = desk.core.dump()
    assert Account.load("main", desk.setup, before).dump() == before == desk.anew().dump()


def test_reports_of_symbols_nobody_holds_are_not_kept(desk: AccountLog) -> None:
    shown(desk, *((f"S{number}", "0") for number in range(500)))
    assert desk.core.state.watched == {}


# Coverage.


def test_a_fill_of_an_allowed_order_is_gated_and_any_other_is_not(desk: AccountLog) -> None:
    traded(desk, "a")
    assert desk.decide("denied", qty="5").reason != "OK"
    desk.store(*bot_event("LOCAL_VERDICT", order_id="local", symbol=BTC, side="BUY", order_type="MARKET", qty=Decimal("0.01"),
                          decision="ALLOW", reason="NO_ANSWER"))  # fmt: skip
    for order_id in ("denied", "local", "unheard-of"):
        desk.store(*fill(order_id, "f", "0.01", "40000", "FILLED", symbol=BTC, side="BUY"))
    desk.store(*fill("nowhere", "f", "0.01", "40000", "FILLED"))
    covered = desk.core.state.coverage
    assert (covered.gated, covered.ungated, covered.pct) == (1, 4, Decimal(20))
    assert (desk.core.state.gated_fills, desk.core.state.ungated_fills, desk.core.state.unplaced_fills) == (1, 3, 1)


def test_a_late_fill_of_a_closed_order_is_gated_and_a_repeat_counts_once(desk: AccountLog) -> None:
    desk.decide("a", qty="0.1")
    desk.store(*done("a", "CANCELLED", filled_qty=Decimal(0)))
    for _ in range(3):
        desk.store(*fill("a", "f", "0.1", "40000"))
    assert (desk.core.state.coverage.gated, desk.core.state.coverage.ungated) == (1, 0)


def test_ungated_fills_are_told_of_at_once_then_once_a_minute_and_anew_on_another_day(desk: AccountLog) -> None:
    def ungated(number: int) -> None:
        desk.store(*fill(f"x{number}", "f", "0.001", "40000", "FILLED", symbol=BTC, side="BUY"))
        desk.now += timedelta(seconds=1)
        desk.settle()

    ungated(0)
    assert [(alarm.value, alarm.threshold) for alarm in alarms(desk, "COVERAGE")] == [(Decimal(0), Decimal(100))]
    for number in range(1, 30):
        ungated(number)
    assert len(alarms(desk, "COVERAGE")) == 1
    desk.now += timedelta(seconds=61)
    desk.settle()
    assert [alarm.evidence["ungated_fills"] for alarm in alarms(desk, "COVERAGE")] == [1, 30]
    desk.now += timedelta(seconds=61)
    desk.settle()
    assert len(alarms(desk, "COVERAGE")) == 2
    desk.now += timedelta(days=1)
    traded_day = desk.core.state.coverage.day
    ungated(99)
    assert desk.core.state.coverage.day > traded_day
    assert alarms(desk, "COVERAGE")[-1].evidence["ungated_fills"] == 1
    assert desk.anew().dump() == desk.core.dump()


def test_an_order_that_stays_unanswered_is_told_of_once(desk: AccountLog) -> None:
    desk.decide("a")
    for _ in range(12):
        desk.now += timedelta(seconds=700)
        desk.settle()
    (told,) = alarms(desk, "ORDER_UNANSWERED")
    assert told.evidence["order_id"] == "a"
