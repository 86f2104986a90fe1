"""A candidate set judges the case the live limits have judged, with its own numbers (R10)."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fleet_contracts import Reason
from parts.account_log import AccountLog, log_of
from parts.trading import fill, order
from risk_gateway.core.account import Asked, NewDecision
from risk_gateway.core.shadow import EXAMPLES_MAX, Shadow


def shadow_of(**risk: Any) -> Shadow:
    return Shadow(log_of(**risk).setup)


def decided(log: AccountLog, order_id: str, **fields: Any) -> NewDecision:
    """A decision, stored and folded, and the case as it was judged."""
    judged = log.core.judge(Asked(order(order_id, **fields), "qe1", "http", log.now))
    assert isinstance(judged, NewDecision)
    log.arrive(*log.hold(judged.fact))
    return judged


AMOUNTS = st.sampled_from([100, 400, 401, 700, 5000])


@given(
    live=st.tuples(AMOUNTS, AMOUNTS, st.integers(1, 3)),
    candidate=st.tuples(AMOUNTS, AMOUNTS, st.integers(1, 3)),
    orders=st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), st.sampled_from(["0.005", "0.01", "0.02"]))),
)
def test_the_candidate_answers_as_it_would_if_it_were_in_force(
    live: tuple[int, int, int], candidate: tuple[int, int, int], orders: list[tuple[str, str]]
) -> None:
    """Every case beside an account that really has the candidate's limits, and the live one's orders and fills."""

    def limits(values: tuple[int, int, int]) -> dict[str, Any]:
        return {"max_order_notional": values[0], "max_gross_exposure": values[1], "max_open_orders": values[2]}

    log, other, shadow = log_of(limits=limits(live)), log_of(limits=limits(candidate)), shadow_of(limits=limits(candidate))
    for number, (side, qty) in enumerate(orders):
        wanted = other.said(f"o{number}", side=side, qty=qty)
        case = decided(log, f"o{number}", side=side, qty=qty)
        shadow.see(case)
        if case.refusal is None:
            other.arrive(*other.hold(case.fact))
        if case.refusal is None and wanted.decision == "DENY":
            last = shadow.tally.denied[-1]
            assert (last.case, last.shadow.reason) == (case, wanted.reason)  # type: ignore[union-attr]
        elif case.refusal is not None and wanted.decision == "ALLOW":
            assert shadow.tally.allowed[-1].case is case
        else:
            assert case not in [example.case for example in (*shadow.tally.denied, *shadow.tally.allowed)]
    assert shadow.tally.judged == len(orders)


def test_would_allow_names_the_live_reason_and_would_deny_the_candidate_s() -> None:
    log = log_of(limits={"max_order_notional": 500})
    shadow = shadow_of(limits={"max_order_notional": 1000, "max_open_orders": 1})
    shadow.see(decided(log, "a"))
    shadow.see(decided(log, "b", qty="0.02"))
    shadow.see(decided(log, "c"))
    assert shadow.tally.would_deny == {Reason.TOO_MANY_OPEN_ORDERS: 1}
    assert shadow.tally.would_allow == {}, "the candidate denies b too, for another reason"
    log.store(*fill("a", "f", "0.01", "40000", "FILLED"))
    log.store(*fill("c", "f", "0.01", "40000", "FILLED"))
    shadow.see(decided(log, "d", qty="0.02"))
    assert shadow.tally.would_allow == {Reason.ORDER_NOTIONAL_TOO_LARGE: 1}
    (example,) = shadow.tally.allowed
    assert (example.case.order.order_id, example.shadow) == ("d", None)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_leverage": "0.01"}, "LEVERAGE_TOO_HIGH"),
        ({"max_daily_loss": {"amount": 50, "pct": 5}}, "DAILY_LOSS"),
        ({"max_drawdown": {"soft_pct": 0, "hard_pct": 100}}, "REDUCE_ONLY_MODE"),
        ({"max_drawdown": {"soft_pct": 1, "hard_pct": 1}}, "OK"),
        ({"stale_heartbeat_s": 1}, "BOT_NOT_ALIVE"),
        ({"price_collar_pct": 1}, "NO_PRICE"),
        ({"order_rate": {"count": 1, "per_s": 60}}, "ORDER_RATE"),
        ({"repeated_order": {"count": 2, "per_s": 60}}, "REPEATED_ORDER"),
    ],
    ids=str,
)
def test_every_kind_of_limit_of_a_candidate_is_judged(limits: dict[str, Any], reason: str) -> None:
    log = log_of()
    log.equity("9950")
    shadow = shadow_of(limits=limits)
    shadow.see(decided(log, "a"))
    shadow.see(decided(log, "b"))
    assert (list(shadow.tally.would_deny) or ["OK"]) == [reason]


def test_a_modify_a_fee_and_a_bot_s_limit_are_the_candidate_s() -> None:
    log = log_of(limits={"max_gross_exposure": 1000})
    shadow = shadow_of(limits={"max_gross_exposure": 700}, taker_fee_bps=0, bots={"qe1": {"max_order_notional": 450}})
    shadow.see(decided(log, "a"))
    shadow.see(decided(log, "m", qty="0.011", replaces="a"))
    assert shadow.tally.would_deny == {}
    shadow.see(decided(log, "b", qty="0.0115"))
    assert shadow.tally.would_deny == {Reason.ORDER_NOTIONAL_TOO_LARGE: 1}


def test_the_live_case_is_left_as_it_was_and_examples_are_bounded() -> None:
    log = log_of(limits={"max_open_orders": 100})
    shadow = shadow_of(limits={"max_order_notional": 1})
    for number in range(EXAMPLES_MAX + 5):
        case = decided(log, f"o{number}", qty="0.001")
        before = case.event()
        shadow.see(case)
        assert case.event() == before
    assert shadow.tally.would_deny == {Reason.ORDER_NOTIONAL_TOO_LARGE: EXAMPLES_MAX + 5}
    assert len(shadow.tally.denied) == EXAMPLES_MAX
    assert log.anew().dump() == log.core.dump()


def test_no_candidate_denies_a_reduction() -> None:
    """Invariant 4."""
    log = log_of()
    log.decide("in")
    log.store(*fill("in", "f", "0.01", "40000", "FILLED"))
    shadow = shadow_of(limits={"max_order_notional": 1, "order_rate": {"count": 1, "per_s": 60}, "price_collar_pct": 0})
    for number in range(3):
        shadow.see(decided(log, f"o{number}", side="SELL", qty="0.003"))
    assert shadow.tally.would_deny == {}
