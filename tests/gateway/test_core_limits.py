"""Limits order by order: the strictest of account, bot, strategy and symbol; the collar; life signs; modes (R2)."""

from datetime import timedelta
from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fleet_contracts import AccountClock, Mark, Reason, encode
from parts.account_log import AccountLog, log_of
from parts.trading import RISK, done, fill, order
from risk_gateway.core.account import Asked, NewDecision
from risk_gateway.core.checks import CHECKS, OF_REDUCTIONS_TOO, PASSES

PRICES = st.integers(1, 10**6).map(lambda cents: Decimal(cents) / 100)


def mark(**prices: str) -> Mark:
    amounts = {name: Decimal(price) for name, price in prices.items()}
    return Mark(event_type="MARK", account="main", source="qe1", symbol="BTC-PERP", **amounts)


# The strictest wins.

PLACES = ("limits", "bots", "strategies", "symbols")
REASONS = {
    "max_order_notional": Reason.ORDER_NOTIONAL_TOO_LARGE,
    "max_notional_per_symbol": Reason.SYMBOL_NOTIONAL_TOO_LARGE,
    "max_gross_exposure": Reason.GROSS_EXPOSURE_TOO_LARGE,
}


@pytest.mark.parametrize(("limit", "reason"), REASONS.items())
@given(amounts=st.tuples(*(st.sampled_from([300, 399, 401, 500]) for _ in PLACES)))
def test_of_a_limit_of_account_bot_strategy_and_symbol_the_strictest_decides(
    limit: str, reason: Reason, amounts: tuple[int, ...]
) -> None:
    of = dict(zip(PLACES, amounts, strict=True))
    own = {"max_notional_per_symbol": "max_notional"}.get(limit, limit)
    if limit == "max_gross_exposure":
        del of["symbols"]  # a symbol has none
    log = log_of(
        limits={limit: of["limits"]},
        bots={"qe1": {limit: of["bots"]}},
        strategies={"scalp": {limit: of["strategies"]}},
        symbols={"BTC-PERP": {**RISK["symbols"]["BTC-PERP"], **({own: of["symbols"]} if "symbols" in of else {})}},
    )
    decision = log.said(strategy="scalp", qty="0.01", price="39980")  # 399.8, and 400 with the fee
    if min(of.values()) > 400:
        assert decision.decision == "ALLOW"
    else:
        assert (decision.reason, decision.check, decision.limit) == (reason, limit, min(of.values()))


def test_a_limit_of_a_bot_or_a_strategy_is_nobody_else_s() -> None:
    log = log_of(bots={"qe2": {"max_order_notional": 1}}, strategies={"other": {"max_leverage": "0.0001"}})
    assert log.said(strategy="scalp").decision == "ALLOW"
    denied = log.said(strategy="other")
    assert denied.reason == "LEVERAGE_TOO_HIGH"
    assert "(strategies.other)" in str(denied.message)


def test_the_leverage_of_a_bot_is_measured_on_the_account_s_sums() -> None:
    log = log_of(bots={"qe1": {"max_leverage": "0.1"}})
    assert log.said(qty="0.02").decision == "ALLOW"  # 800 of 1,000
    log.decide("first", qty="0.02")
    assert log.said(qty="0.02").reason == "LEVERAGE_TOO_HIGH"


def test_open_orders_of_a_bot_and_of_a_strategy_are_their_own() -> None:
    log = log_of(bots={"qe1": {"max_open_orders": 2}}, strategies={"scalp": {"max_open_orders": 1}})
    log.decide("a", strategy="scalp")
    assert log.said("b", strategy="scalp").reason == "TOO_MANY_OPEN_ORDERS"
    flying = log.hold(log.judge("c", strategy="swing"))
    denied = log.said("d", strategy="swing")
    assert (denied.reason, denied.value, denied.limit) == ("TOO_MANY_OPEN_ORDERS", 3, 2)
    assert log.said("e", strategy="scalp", replaces="a").decision == "ALLOW", "a modify takes the place of its order"
    log.arrive(*flying)
    log.store(*done("c"))
    assert log.said("f", strategy="swing").decision == "ALLOW"
    assert log.core.state.by_bot == {"qe1": 1}
    assert log.core.load("main", log.setup, log.core.dump()).state.by_bot == {"qe1": 1}


# CO-1.


def test_a_price_beyond_the_collar_is_denied_and_one_exactly_at_it_is_not() -> None:
    log = log_of(limits={"price_collar_pct": 3})
    fair = mark(bid="39990", ask="40010")
    assert log.said(price="41200", mark=fair).decision == "ALLOW"
    denied = log.said(price="41200.01", mark=fair)
    assert (denied.reason, denied.check, denied.value, denied.limit) == (
        "PRICE_COLLAR",
        "price_collar",
        Decimal("41200.01"),
        40000,
    )
    assert denied.collar_price == 40000
    assert log.said(price="38799.99", mark=fair).reason == "PRICE_COLLAR"


@given(price=PRICES, bid=PRICES, spread=PRICES, pct=st.integers(0, 100), of_symbol=st.none() | st.integers(0, 100))
def test_the_collar_is_its_formula(price: Decimal, bid: Decimal, spread: Decimal, pct: int, of_symbol: int | None) -> None:
    """`|px − ref| / ref ≤ c_symbol`, c the stricter of account and symbol (CO-1)."""
    listed = {**RISK["symbols"]["BTC-PERP"], **({} if of_symbol is None else {"price_collar_pct": of_symbol})}
    log = log_of(limits={"price_collar_pct": pct}, symbols={"BTC-PERP": listed})
    decision = log.said(price=str(price), qty="0.001", mark=mark(bid=str(bid), ask=str(bid + spread)))
    fair = bid + spread / 2
    within = abs(price - fair) / fair <= Decimal(min(pct, pct if of_symbol is None else of_symbol)) / 100
    assert (decision.reason == "PRICE_COLLAR") is not within


def test_without_a_fresh_price_a_collar_denies() -> None:
    log = log_of(limits={"price_collar_pct": 3})
    assert log.said(price="40000").reason == "NO_PRICE"
    assert log.said(price="40000", reference_price=Decimal(40000)).reason == "NO_PRICE", "the bot's own word is no market"
    assert log.said(price="40000", mark=mark(last="40000")).reason == "NO_PRICE"
    assert log.said(price="40000", mark=mark(mark="40000")).decision == "ALLOW"


def test_a_stop_price_and_a_market_order_have_a_collar_too() -> None:
    log = log_of(limits={"price_collar_pct": 3})
    fair = mark(bid="39990", ask="40010")
    assert log.said(price=None, mark=fair).decision == "ALLOW"
    assert log.said(price=None, reference_price=Decimal(40000)).reason == "NO_PRICE"
    far = {"order_type": "STOP_LIMIT", "price": "40000", "stop_price": Decimal(50000)}
    assert log.said(mark=fair, **far).reason == "PRICE_COLLAR"


def test_under_a_virtual_clock_the_collar_is_measured_from_the_order_s_reference_price() -> None:
    log = log_of(AccountClock.EVENT, limits={"price_collar_pct": 3})
    assert log.said(reference_price=Decimal(40000)).decision == "ALLOW"
    assert log.said(reference_price=Decimal(50000)).reason == "PRICE_COLLAR"
    assert log.said().reason == "NO_PRICE"


# Life signs and modes.


@pytest.mark.parametrize(("age_s", "reason"), [(None, "BOT_NOT_ALIVE"), (0.2, "OK"), (10.0, "OK"), (10.001, "BOT_NOT_ALIVE")])
def test_a_bot_without_a_fresh_heartbeat_may_not_open(age_s: float | None, reason: str) -> None:
    log = log_of(limits={"stale_heartbeat_s": 10})
    log.core.beat_age_s = lambda bot: age_s if bot == "qe1" else 0.0
    assert log.said().reason == reason


def test_a_bot_that_is_off_may_not_open() -> None:
    log = log_of()
    log.core.shut = lambda bot: Reason.MODE_OFF if bot == "qe1" else None
    assert log.said().reason == "MODE_OFF"


def test_an_order_at_the_event_door_is_judged_by_the_same_inputs() -> None:
    log = log_of(limits={"stale_heartbeat_s": 10})
    log.store("fleet.main.order_request.qe1", encode(order("e")))
    (fact,) = log.core.owed(log.now)
    assert fact.event.reason == "BOT_NOT_ALIVE"


# Invariant 4, and the checks that are passed over.


def everything_against(log: AccountLog) -> None:
    log.core.shut = lambda bot: Reason.MODE_OFF
    log.halt("h-1")
    log.now += timedelta(hours=1)


def test_no_limit_denies_a_reduction() -> None:
    """Invariant 4."""
    one = {"count": 1, "per_s": 60}
    limits = {"order_rate": one, "repeated_order": {**one, "count": 2}, "price_collar_pct": 0, "stale_heartbeat_s": 1}
    log = log_of()
    log.decide("in", qty="0.1")
    log.store(*fill("in", "f", "0.1", "40000", "FILLED"))
    changed = log_of(limits=limits, bots={"qe1": {"max_order_notional": 1}}).setup
    log.arrive(*log.hold(log.core.limits_fact(changed, "c", log.now, by="op", reason="test")))
    everything_against(log)
    assert log.said("x", qty="0.01").decision == "DENY"
    for number in range(5):
        assert log.decide(f"out{number}", side="SELL", qty="0.02").decision == "ALLOW"


@pytest.mark.parametrize("trouble", ["none", "halted", "stale", "lost", "untrusted", "deep"])
def test_a_check_that_is_passed_over_would_have_passed(trouble: str) -> None:
    """`passes` of a row is true only where the check itself finds nothing."""
    log = log_of(limits={"order_rate": {"count": 1, "per_s": 1}} if trouble == "lost" else {})
    match trouble:
        case "halted":
            log.halt("h-1")
        case "lost":
            log.store("fleet.main.equity.qe1", b'{"equity":"9400","ts":"2026-03-10T12:00:02Z"}')
        case "untrusted":
            log.store("fleet.main.equity.qe1", b'{"equity":"9000","priced":false,"ts":"2026-03-10T12:00:02Z"}')
        case "deep":
            log.store("fleet.main.equity.qe1", b'{"equity":"8000","ts":"2026-03-10T12:00:02Z"}')
    judged = log.core.judge(Asked(order("a"), "qe1", "http", log.now))
    assert isinstance(judged, NewDecision)
    idle = [check for check in CHECKS if PASSES[check](judged.standing)]
    assert idle
    assert OF_REDUCTIONS_TOO.isdisjoint(idle)
    assert [check.__name__ for check in idle if check(judged) is not None] == []
    assert (judged.refusal is None) is (trouble in ("none", "stale"))
