"""Every reason that the gateway can give is given here once, in the shortest history that leads to it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet_contracts import NO_DECISIONS, Halt, Reason, encode, parse
from parts.account_log import AccountLog, log_of
from parts.trading import bot_event, equity, fill, order
from risk_gateway.core.account import Asked, Repeat

OF_OTHER_PARTS = {Reason.ENTRIES_BLOCKED, Reason.OUTSIDE_TRADING_HOURS}
"""Policies and hours: not given by this table of checks."""
TESTED_WITH_A_PIPELINE = {
    Reason.JOURNAL_UNAVAILABLE: "tests/faults/test_gateway_faults.py",
    Reason.OVERLOADED: "tests/gateway/test_http_doors.py",
    Reason.INVALID_REQUEST: "tests/integration/test_gateway_doors_real.py",
    Reason.NO_LEADER: "tests/faults/test_standby_faults.py",
}
"""Answers that are no decisions come from doors and pipeline."""

Case = tuple[dict[str, Any], Callable[[AccountLog], Any], dict[str, Any]]


def halted(cause: str) -> Callable[[AccountLog], None]:
    def halt(log: AccountLog) -> None:
        log.core.latch(Halt(halt_id="h", cause=cause, since=log.now, latched=True, by="op"))

    return halt


def lose(amount: str, **more: Any) -> Callable[[AccountLog], None]:
    """Unanswered: the checks deny before the halt is recorded."""
    return lambda log: log.store(*equity(amount, log.now, **more))


def long_ago(log: AccountLog) -> None:
    log.now += timedelta(minutes=5)


def off(log: AccountLog) -> None:
    log.core.shut = lambda bot: Reason.MODE_OFF


def unpriced(log: AccountLog) -> None:
    log.store(*bot_event("ORDER_EVENT", order_id="z", status="FILLED", symbol="ETH-PERP", side="BUY", last_qty=1, fill_id="f"))


def twice(log: AccountLog) -> None:
    log.decide("a")
    log.decide("b")


def conflict(log: AccountLog) -> None:
    log.decide("x", qty="0.02")


def holding(log: AccountLog) -> None:
    log.decide("in")
    log.store(*fill("in", "f", "0.01", "40000", "FILLED"))


def held_before(log: AccountLog) -> None:
    log.equity("10000", positions=[{"symbol": "BTC-PERP", "qty": 1, "mark_price": 40000}])


def nothing(log: AccountLog) -> None:
    pass


SAME, RATE = {"count": 2, "per_s": 60}, {"count": 2, "per_s": 60}
CASES: dict[Reason, Case] = {
    Reason.OK: ({}, nothing, {}),
    Reason.HALTED: ({}, halted("OPERATOR"), {}),
    Reason.KILL_SWITCH: ({}, halted("KILL_SWITCH"), {}),
    Reason.DAILY_LOSS: ({}, lose("9500"), {}),
    Reason.MAX_DRAWDOWN: ({"max_daily_loss": {"amount": 9999, "pct": 100}}, lose("8000"), {}),
    Reason.REDUCE_ONLY_MODE: ({"max_daily_loss": {"amount": 9999, "pct": 100}}, lose("9199"), {}),
    Reason.MODE_OFF: ({}, off, {}),
    Reason.SYMBOL_NOT_ALLOWED: ({}, nothing, {"symbol": "DOGE-PERP"}),
    Reason.QTY_TOO_SMALL: ({}, nothing, {"qty": "0.0009"}),
    Reason.QTY_TOO_LARGE: ({}, nothing, {"qty": "10.1"}),
    Reason.ORDER_NOTIONAL_TOO_LARGE: ({"max_order_notional": 399}, nothing, {}),
    Reason.SYMBOL_NOTIONAL_TOO_LARGE: ({"max_notional_per_symbol": 800}, holding, {}),
    Reason.GROSS_EXPOSURE_TOO_LARGE: ({"max_gross_exposure": 800}, holding, {}),
    Reason.LEVERAGE_TOO_HIGH: ({"max_leverage": "0.08"}, holding, {}),
    Reason.TOO_MANY_OPEN_ORDERS: ({"max_open_orders": 2}, twice, {}),
    Reason.ORDER_RATE: ({"order_rate": RATE}, twice, {}),
    Reason.REPEATED_ORDER: ({"repeated_order": SAME}, twice, {}),
    Reason.PRICE_COLLAR: ({"price_collar_pct": 3}, nothing, {"mark": bot_event("MARK", symbol="BTC-PERP", mark=30000)}),
    Reason.NO_PRICE: ({}, unpriced, {}),
    Reason.STALE_EQUITY: ({}, long_ago, {}),
    Reason.EQUITY_UNTRUSTED: ({"untrusted_equity_s": 900}, lose("10000", priced=False), {}),
    Reason.POSITION_DRIFT: ({"position_drift_qty": 0}, held_before, {}),
    Reason.BOT_NOT_ALIVE: ({"stale_heartbeat_s": 1}, nothing, {}),
    Reason.REDUCE_ONLY_WOULD_FLIP: ({}, holding, {"side": "SELL", "qty": "0.02", "reduce_only": True}),
    Reason.IDEMPOTENCY_CONFLICT: ({}, conflict, {}),
}


@pytest.mark.parametrize("reason", CASES)
def test_the_gateway_gives_this_reason(reason: Reason) -> None:
    limits, before, fields = CASES[reason]
    log = log_of(limits=limits)
    before(log)
    if "mark" in fields:
        (line,) = parse(*fields["mark"]).lines
        fields = {**fields, "mark": line.event}
    assert log.said(**fields).reason == reason


def test_an_old_request_is_expired() -> None:
    log = log_of()
    log.store("fleet.main.order_request.qe1", encode(order("e")))
    log.now += timedelta(seconds=3)
    (fact,) = log.core.owed(log.now)
    assert fact.event.reason == Reason.REQUEST_EXPIRED


def test_an_allow_that_nobody_used_in_time_is_expired() -> None:
    log = log_of()
    log.decide("x")
    log.now += timedelta(seconds=6)
    again = log.core.judge(Asked(order("x"), "qe1", "http", log.now))
    assert isinstance(again, Repeat)
    assert again.reason == Reason.DECISION_EXPIRED


@pytest.mark.parametrize("reason", sorted(NO_DECISIONS))
def test_the_reasons_of_doors_and_pipeline_have_their_tests(reason: Reason) -> None:
    assert reason in (Path(__file__).parents[2] / TESTED_WITH_A_PIPELINE[reason]).read_text("utf-8")


def test_no_reason_of_the_contract_is_forgotten() -> None:
    by_themselves = {Reason.REQUEST_EXPIRED, Reason.DECISION_EXPIRED}
    assert set(CASES) | by_themselves | NO_DECISIONS | OF_OTHER_PARTS == set(Reason)
