"""What once broke the core, one sentence each: halts, breaches and modifies that overlap, and the event door."""

from datetime import timedelta
from decimal import Decimal

import pytest

from fleet_contracts import Halt, Mark, TradingState, encode
from fleet_contracts.envelope import format_ts
from parts.account_log import AccountLog
from parts.trading import bot_event, done, equity, fill, setup
from risk_gateway.core.account import Account


@pytest.fixture
def desk() -> AccountLog:
    return AccountLog(setup())


# Halted is halted (invariant 4).


def test_a_resume_lifts_what_was_chosen_and_never_a_halt_that_came_meanwhile(desk: AccountLog) -> None:
    desk.halt("op1")
    desk.now += timedelta(seconds=1)
    desk.store(*equity("9000", desk.now))
    trip = desk.hold(*desk.core.owed(desk.now))
    assert desk.core.state_on_its_way, "the resume has to wait for this one"
    desk.arrive(*trip)
    desk.arrive(*desk.hold(desk.core.resume_fact({"op1"}, "cmd", desk.now)))
    assert [halt.cause for halt in desk.core.halts] == ["DAILY_LOSS"]
    desk.equity("9990")
    assert desk.decide("a").reason == "DAILY_LOSS"


def test_an_older_day_never_replaces_the_base_of_a_newer_one(desk: AccountLog) -> None:
    desk.halt("op1")
    stale = desk.core.resume_fact({"op1"}, "cmd", desk.now)
    desk.now += timedelta(days=1)
    desk.equity("9900")
    base = desk.core.state.equity.base
    desk.arrive(*desk.hold(stale))
    assert desk.core.state.equity.base == base


def test_a_latch_that_the_log_has_not_met_can_be_lifted(desk: AccountLog) -> None:
    desk.core.latch(Halt(halt_id="file", cause="KILL_SWITCH", since=desk.now, latched=True, by="somebody"))
    desk.arrive(*desk.hold(desk.core.resume_fact({"file"}, "cmd", desk.now)))
    desk.settle()
    assert desk.core.halts == []
    assert "file" in desk.anew().state.resumed


def test_a_limit_passed_in_the_middle_of_a_batch_latches_though_the_next_equity_recovers(desk: AccountLog) -> None:
    for amount in ("9000", "9990"):
        desk.now += timedelta(seconds=1)
        desk.store(*equity(amount, desk.now))
    desk.settle()
    assert [halt.cause for halt in desk.core.halts] == ["DAILY_LOSS"]
    assert desk.decide("a").reason == "DAILY_LOSS"


def test_a_limit_passed_denies_before_its_halt_is_recorded_though_the_next_equity_recovers(desk: AccountLog) -> None:
    for amount in ("9000", "9990"):
        desk.now += timedelta(seconds=1)
        desk.store(*equity(amount, desk.now))
    assert desk.judge("a").event.reason == "DAILY_LOSS"  # type: ignore[attr-defined]


def test_a_limit_passed_before_the_base_of_the_day_is_recorded_latches_too() -> None:
    desk = AccountLog(setup(), money=None)
    for amount in ("10000", "9000", "9990"):
        desk.now += timedelta(seconds=1)
        desk.store(*equity(amount, desk.now))
    desk.settle()
    assert {halt.cause for halt in desk.core.halts} == {"DAILY_LOSS"}


def test_what_was_passed_before_a_person_resumed_does_not_halt_again(desk: AccountLog) -> None:
    for amount in ("9000", "9100", "9990"):
        desk.equity(amount)
    halts = {halt.halt_id for halt in desk.core.halts}
    desk.arrive(*desk.hold(desk.core.resume_fact(halts, "cmd", desk.now)))
    desk.settle()
    assert desk.core.halts == []
    desk.equity("9400")
    assert [halt.cause for halt in desk.core.halts] == ["DAILY_LOSS"]


def test_any_number_of_latches_halts_and_the_log_takes_what_fits(desk: AccountLog) -> None:
    for number in range(600):
        desk.core.latch(Halt(halt_id=f"latch-{number}", cause="KILL_SWITCH", since=desk.now, latched=True, by="x" * 64))
    desk.settle()
    assert desk.core.trading_state is TradingState.HALTED
    while desk.core.halts:
        chosen = {halt.halt_id for halt in desk.core.halts[:150]}
        desk.arrive(*desk.hold(desk.core.resume_fact(chosen, f"cmd{len(desk.core.halts)}", desk.now)))
        desk.settle()
    assert desk.anew().state.halts == {}


# Same log, same state (invariant 7): modifies that overlap.


def test_a_modify_whose_order_fills_while_it_is_on_its_way_counts_as_a_fresh_fold_counts_it(desk: AccountLog) -> None:
    desk.decide("a", qty="0.1")
    modify = desk.hold(desk.judge("p", qty="0.1", replaces="a"))
    desk.store(*fill("a", "f", "0.04", "40000"))
    desk.arrive(*modify)
    assert_live_is_fold(desk)


def test_a_modify_decided_before_its_order_is_folded_counts_as_a_fresh_fold_counts_it(desk: AccountLog) -> None:
    first = desk.hold(desk.judge("a", qty="0.05"))
    modify = desk.hold(desk.judge("p", qty="0.06", replaces="a"))
    again = desk.hold(desk.judge("q", qty="0.02", replaces="p"))
    desk.arrive(*first, *modify, *again)
    assert_live_is_fold(desk)


@pytest.mark.parametrize(("filled", "left"), [("0.04", "0.06"), ("0.1", "0")])
def test_what_fills_between_a_modifys_decision_and_its_record_is_not_posted_and_held(
    desk: AccountLog, filled: str, left: str
) -> None:
    """Invariant 1: at the venue an order and its modify are one, so one quantity counts once."""
    desk.decide("a", qty="0.1")
    modify = desk.hold(desk.judge("p", qty="0.1", replaces="a"))
    status = "FILLED" if left == "0" else "PARTIALLY_FILLED"
    desk.store(*fill("a", "f", filled, "40000", status, filled_qty=Decimal(filled)))
    desk.arrive(*modify)
    assert desk.core.state.orders["qe1", "p"].leaves == Decimal(left)
    assert desk.core.state.exposure.gross <= Decimal("0.1") * 40_000 * Decimal("1.0005")
    assert_live_is_fold(desk)


def test_a_confirmed_modify_has_replaced_the_whole_chain_before_it(desk: AccountLog) -> None:
    for order_id, qty, replaces in (("a", "0.1", None), ("p", "0.05", "a"), ("q", "0.1", "p")):
        desk.decide(order_id, qty=qty, replaces=replaces)
    before = desk.core.state.exposure.gross
    desk.store(*fill("q", "f", "0.04", "40000", filled_qty=Decimal("0.04")))
    assert desk.core.state.exposure.gross <= before
    assert_live_is_fold(desk)


def test_two_modifies_of_an_order_on_its_way_count_in_the_fold_as_they_were_judged(desk: AccountLog) -> None:
    first = desk.hold(desk.judge("a", qty="0.1"))
    unlinked = desk.hold(desk.judge("x", qty="0.1", replaces="a"))
    desk.arrive(*first)
    linked = desk.hold(desk.judge("b", qty="0.12", replaces="a"))
    desk.arrive(*unlinked, *linked)
    assert_live_is_fold(desk)
    assert desk.core.state.exposure.gross <= 10_000


def test_a_snapshot_keeps_a_chain_whose_middle_is_gone(desk: AccountLog) -> None:
    for order_id, qty, replaces in (("a", "0.03", None), ("b", "0.02", "a"), ("c", "0.03", "b")):
        desk.decide(order_id, qty=qty, replaces=replaces)
    desk.store(*done("b", "REJECTED"))
    loaded = Account.load("main", desk.setup, desk.core.dump())
    assert loaded.dump().head == desk.core.dump().head
    assert loaded.state.exposure.gross == desk.core.state.exposure.gross


@pytest.mark.parametrize("value", [-9, "-9", "abc", {"a": 1}, 1e300, [1], True])
def test_what_a_bot_says_under_a_name_of_the_decisions_own_is_not_believed(desk: AccountLog, value: object) -> None:
    ours = {name: value for name in ("replaced_filled", "hold_unit", "allowed_qty", "content_hash", "lifted")}
    for number in range(15):
        desk.decide(f"o{number}", qty="0.1", replaces="ghost", **ours)
    assert desk.core.state.exposure.gross <= 10_000
    assert_live_is_fold(desk)


def assert_live_is_fold(desk: AccountLog) -> None:
    fresh = desk.anew()
    assert desk.core.dump().head == fresh.dump().head
    assert desk.core.state.exposure.gross == fresh.state.exposure.gross


# The event door asks as the others do.


def test_the_event_door_reads_the_mark_as_the_others_do(desk: AccountLog) -> None:
    desk.core.mark = lambda symbol: Mark(symbol=symbol, ask=Decimal(43_000))
    asked = {"order_id": "m", "symbol": "BTC-PERP", "side": "BUY", "order_type": "MARKET", "qty": Decimal("0.12")}
    desk.store(*bot_event("ORDER_REQUEST", desk.now, reference_price=Decimal(40_000), **asked))
    (fact,) = desk.core.owed(desk.now)
    assert (fact.event.reason, fact.event.ref_price_source) == ("ORDER_NOTIONAL_TOO_LARGE", "mark")  # type: ignore[attr-defined]


def question(order_id: str, bot: str, ts: str, qty: str = "0.01") -> tuple[str, bytes]:
    fields = {"order_id": order_id, "symbol": "BTC-PERP", "side": "BUY", "order_type": "LIMIT", "qty": qty, "price": "40000"}
    subject, line = bot_event("ORDER_REQUEST", bot=bot, **fields)
    return subject, line[:-1] + f',"ts":"{ts}"}}'.encode()


def test_a_bot_that_asks_without_end_keeps_no_other_bot_waiting(desk: AccountLog) -> None:
    now = format_ts(desk.now)
    for number in range(1_200):
        desk.store(*question(f"flood-{number}", "qe2", now))
    desk.store(*question("mine", "qe1", now))
    answered = []
    for _ in range(4):
        (fact,) = desk.core.owed(desk.now)
        desk.arrive(*desk.hold(fact))
        answered.append(fact.event.bot)  # type: ignore[attr-defined]
    assert "qe1" in answered
    assert len(desk.core.state.questions) < 1_001


def test_the_same_id_with_other_content_while_the_first_is_on_its_way_is_answered_as_a_conflict(desk: AccountLog) -> None:
    first = desk.hold(desk.judge("a"))
    desk.store(*question("a", "qe1", format_ts(desk.now), qty="0.02"))
    desk.arrive(*first)
    (fact,) = desk.core.owed(desk.now)
    assert fact.event.reason == "IDEMPOTENCY_CONFLICT"  # type: ignore[attr-defined]
    desk.arrive(*desk.hold(fact))
    assert desk.core.owed(desk.now) == []
    assert encode(fact.event) == fact.line
