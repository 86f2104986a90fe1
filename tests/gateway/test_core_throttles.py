"""TH-1 and TH-2: windows of orders in the fold and on their way, repeats that disable, and the person who enables again."""

from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fleet_contracts import OrderDecision
from parts.account_log import AccountLog, log_of
from parts.trading import done, fill
from risk_gateway.core.account import Account

RATE = {"order_rate": {"count": 3, "per_s": 10}}
REPEATS = {"repeated_order": {"count": 3, "per_s": 10}}


def pass_s(log: AccountLog, seconds: float) -> None:
    log.now += timedelta(seconds=seconds)


# TH-1.


@given(steps=st.lists(st.tuples(st.sampled_from([0, 1, 3, 4, 10]), st.sampled_from(["1", "2"])), max_size=25))
def test_fewer_than_n_orders_lie_within_any_window(steps: list[tuple[int, str]]) -> None:
    """`allow while fewer than N lie in the last T` (TH-1), beside a list of every allowed order's time."""
    log = log_of(limits={**RATE, "max_open_orders": 100, "stale_equity_s": 86_400})
    allowed = []
    for number, (seconds, lots) in enumerate(steps):
        pass_s(log, seconds)
        expected = sum(at > log.now - timedelta(seconds=10) for at in allowed) < 3
        decision = log.decide(f"o{number}", qty=f"0.00{lots}")
        assert decision.reason == ("OK" if expected else "ORDER_RATE")
        if expected:
            allowed.append(log.now)


def test_orders_on_their_way_count_and_those_that_are_not_stored_do_not() -> None:
    log = log_of(limits=RATE)
    facts = [*log.hold(log.judge("a")), *log.hold(log.judge("b")), *log.hold(log.judge("c"))]
    denied = log.said("d")
    assert (denied.reason, denied.value, denied.limit) == ("ORDER_RATE", 4, 3)
    log.core.drop(facts[1])
    assert log.said("d").decision == "ALLOW"
    log.arrive(facts[0], facts[2])
    assert log.core.state.throttles.flying == {}
    log.decide("d")
    assert log.said("e").reason == "ORDER_RATE"


def test_a_rate_of_a_bot_or_a_strategy_counts_its_own_orders() -> None:
    log = log_of(bots={"qe1": RATE}, strategies={"scalp": {"order_rate": {"count": 1, "per_s": 10}}})
    log.decide("a", strategy="scalp")
    assert log.said("b", strategy="scalp").reason == "ORDER_RATE"
    log.decide("b", strategy="swing")
    assert log.said("c", strategy="swing").decision == "ALLOW"
    log.decide("c")
    denied = log.said("d")
    assert denied.reason == "ORDER_RATE"
    assert "bot qe1" in str(denied.message)


def test_cancels_and_reductions_are_counted_and_never_blocked() -> None:
    log = log_of(limits=RATE)
    log.decide("in", qty="0.1")
    log.store(*fill("in", "f", "0.1", "40000", "FILLED"))
    log.decide("again")
    log.store(*done("again"))  # the third message
    assert log.said("more").reason == "ORDER_RATE"
    for number in range(4):
        assert log.decide(f"out{number}", side="SELL").decision == "ALLOW"
    pass_s(log, 10)
    assert log.said("more").decision == "ALLOW"


# TH-2.


def test_the_kth_same_order_is_denied_and_disables_its_strategy_until_a_person_enables_it() -> None:
    log = log_of(limits=REPEATS)
    for number in range(2):
        assert log.decide(f"a{number}", strategy="scalp").decision == "ALLOW"
    denied = log.decide("a2", strategy="scalp")
    assert (denied.reason, denied.check) == ("REPEATED_ORDER", "repeated_order")
    pass_s(log, 25)
    other = log.decide("b", strategy="scalp", qty="0.02")
    assert (other.reason, other.check) == ("REPEATED_ORDER", "strategy_enabled")
    assert log.decide("c", strategy="swing", qty="0.02").decision == "ALLOW"
    restarted = Account.load("main", log.setup, log.core.dump())
    assert restarted.dump() == log.core.dump() == log.anew().dump()
    assert [*restarted.state.throttles.disabled] == [("strategy", "scalp")]
    log.arrive(*log.hold(log.core.enabling_fact([("strategy", "scalp")], "k", log.now, by="op", reason="looked at it")))
    assert log.core.state.rules.revision == 2  # type: ignore[union-attr]
    for number in range(2):
        assert log.decide(f"d{number}", strategy="scalp").decision == "ALLOW"
    assert log.anew().dump() == log.core.dump()


def test_a_decision_on_its_way_while_a_person_enables_disables_nobody_anew() -> None:
    log = log_of(limits=REPEATS)
    for number in range(3):
        log.decide(f"a{number}")
    late = log.hold(log.judge("late", qty="0.02"))
    log.arrive(*log.hold(log.core.enabling_fact([("bot", "qe1")], "k", log.now, by="op", reason="looked at it")))
    log.arrive(*late)
    assert log.said("next").decision == "ALLOW"


def test_a_trip_on_its_way_disables_already() -> None:
    log = log_of(limits=REPEATS)
    log.hold(log.judge("a0"), log.judge("a1"))
    (trip,) = log.hold(log.judge("a2"))
    assert log.said("b", qty="0.05").check == "strategy_enabled"
    log.core.drop(trip)
    assert log.said("b", qty="0.05").decision == "ALLOW"


@pytest.mark.parametrize(
    "other",
    [{"side": "SELL"}, {"symbol": "ETH-PERP", "price": "4000"}, {"qty": "0.011"}, {"strategy": "swing"}],
    ids=str,
)
def test_another_side_symbol_quantity_or_strategy_is_another_order(other: dict[str, Any]) -> None:
    log = log_of(limits=REPEATS)
    for number in range(2):
        log.decide(f"a{number}", strategy="scalp")
    assert log.said("b", **{"strategy": "scalp", **other}).decision == "ALLOW"
    assert log.said("b", strategy="scalp", qty="0.0104").reason == "REPEATED_ORDER", "quantities count in whole lots"


def test_a_modify_and_a_reduction_repeat_nothing() -> None:
    log = log_of(limits=REPEATS)
    log.decide("m0")
    for number in range(1, 6):
        assert log.decide(f"m{number}", replaces=f"m{number - 1}").decision == "ALLOW"
    log.store(*fill("m5", "f", "0.01", "40000", "FILLED"))


def test_a_bot_s_repeats_are_its_own_and_a_strategy_s_are_everybody_s() -> None:
    two, five = {"count": 2, "per_s": 10}, {"count": 5, "per_s": 10}
    log = log_of(bots={"qe2": {"repeated_order": two}}, limits={"repeated_order": five})
    for number in range(3):
        log.decide(f"a{number}", strategy="scalp")
    log.decide("b", strategy="scalp", source="qe2")
    assert log.said("c", strategy="scalp").reason == "REPEATED_ORDER", "the fifth of the strategy, whoever sends it"
    assert log.said("c", strategy="swing").decision == "ALLOW"
    log.decide("d", strategy="swing", source="qe2")
    assert log.said("e", strategy="swing", source="qe2").reason == "REPEATED_ORDER", "the second of the bot"
    assert log.said("e", strategy="swing").decision == "ALLOW"


REJECT = {"status": "REJECTED", "detail": "margin is insufficient"}


def rejected(log: AccountLog, order_id: str, **more: Any) -> None:
    log.decide(order_id, strategy="scalp")
    pass_s(log, 11)
    log.store(*done(order_id, **{**REJECT, **more}))


def test_three_identical_rejects_in_a_row_disable() -> None:
    log = log_of(limits={**REPEATS, "stale_equity_s": 86_400})
    for number in range(2):
        rejected(log, f"a{number}")
    assert log.said("x", strategy="scalp").decision == "ALLOW"
    rejected(log, "a2")
    assert log.said("x", strategy="scalp").check == "strategy_enabled"
    assert "margin" in log.core.state.throttles.disabled["strategy", "scalp"].cause
    assert log.anew().dump() == log.core.dump()


@pytest.mark.parametrize(
    "last", [{"detail": "another"}, {"detail": "NEVER_SENT"}, {"status": "CANCELLED"}, {"status": "WORKING"}], ids=str
)
def test_rejects_that_differ_or_are_interrupted_disable_nobody(last: dict[str, str]) -> None:
    log = log_of(limits={**REPEATS, "stale_equity_s": 86_400})
    for number in range(2):
        rejected(log, f"a{number}")
    rejected(log, "a2", **last)
    assert log.core.state.throttles.disabled == {}
    log.store(*done("a1", **REJECT))  # a repeat of what is known already
    assert log.core.state.throttles.disabled == {}


# Bounds, and limits that change.


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_gateway.core.throttles.SAME_MAX", 5)
    log = log_of(limits={**REPEATS, "max_open_orders": 100, "order_rate": {"count": 4, "per_s": 86_400}})
    for number in range(9):
        log.decide(f"a{number}", qty=f"0.0{number + 1}", price="400")
    throttles = log.core.state.throttles
    assert len(throttles.same) <= 5
    assert len(throttles.rates["account", ""]) == 4
    assert log.anew().dump() == log.core.dump()


def test_what_is_too_old_to_count_is_forgotten() -> None:
    log = log_of(limits=REPEATS)
    log.decide("a")
    pass_s(log, 10)
    log.decide("b", qty="0.02")
    assert len(log.core.state.throttles.same) == 1


def test_a_larger_count_counts_from_what_is_remembered_and_an_absent_one_forgets() -> None:
    log = log_of(limits=RATE)
    for number in range(2):
        log.decide(f"a{number}")
    _apply(log, order_rate={"count": 4, "per_s": 10})
    for number in range(2):
        log.decide(f"b{number}")
    assert log.said("c").reason == "ORDER_RATE"
    _apply(log)
    assert log.core.state.throttles.rates == {}
    assert log.anew().dump() == log.core.dump()


def _apply(log: AccountLog, **limits: Any) -> None:
    setup = log_of(limits=limits).setup
    log.arrive(*log.hold(log.core.limits_fact(setup, f"k{len(log.entries)}", log.now, by="op", reason="test")))


@given(
    orders=st.lists(
        st.tuples(
            st.sampled_from(["decide", "hold", "land", "drop", "cancel"]),
            st.sampled_from(["scalp", "swing", None]),
            st.integers(0, 6),
        ),
        max_size=40,
    )
)
def test_the_live_state_is_the_fold_of_the_log(orders: list[tuple[str, str | None, int]]) -> None:
    """Invariant 7: whatever is held, lands or is dropped, in any order."""
    log = log_of(
        limits={"order_rate": {"count": 6, "per_s": 5}, "repeated_order": {"count": 3, "per_s": 20}, "max_open_orders": 9},
        strategies={"scalp": {"order_rate": {"count": 2, "per_s": 3}}},
    )
    flying: list[Any] = []
    for number, (what, strategy, seconds) in enumerate(orders):
        pass_s(log, seconds)
        if what == "decide" and not flying:
            log.decide(f"o{number}", strategy=strategy)
        elif what == "hold":
            flying += log.hold(log.judge(f"o{number}", strategy=strategy))
        elif flying and what == "land":
            log.arrive(flying.pop(0))
        elif flying and what == "drop":
            log.core.drop(flying.pop())
        elif what == "cancel" and log.core.state.orders:
            log.store(*done(next(iter(log.core.state.orders))[1]))
    assert all(isinstance(fact.event, OrderDecision) for fact in flying)
    for fact in flying:
        log.core.drop(fact)
    fresh = log.anew()
    assert fresh.dump() == log.core.dump()
    assert fresh.state.throttles == log.core.state.throttles
    assert (fresh.state.by_bot, fresh.state.by_strategy) == (log.core.state.by_bot, log.core.state.by_strategy)
