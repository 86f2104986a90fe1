"""What comes back from the order door, checked against what was asked."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic_core import to_json

from fleet_contracts import OrderRequest, Reason
from fleet_sdk.core.answers import Decided, Invalid, Undecided, Unreadable, read_answer

ORDER = OrderRequest(
    account="main", source="qe1", order_id="o-1", symbol="BTC-PERP", side="BUY", order_type="LIMIT", qty="0.5", price="40000"
)


def answer(**changes: Any) -> bytes:
    fields = {
        "event_type": "ORDER_DECISION",
        "account": "main",
        "source": "risk-gateway",
        "bot": "qe1",
        "order_id": "o-1",
        "symbol": "BTC-PERP",
        "side": "BUY",
        "order_type": "LIMIT",
        "qty": "0.5",
        "price": "40000",
        "decision": "ALLOW",
        "reason": "OK",
        "allowed_qty": "0.5",
        "opening_qty": "0.5",
        "ts": "2026-01-05T10:00:00Z",
        "valid_until": "2026-01-05T10:00:05Z",
    }
    return to_json({name: value for name, value in (fields | changes).items() if value is not ...})


def test_an_allow_says_how_much_for_how_long_and_whether_it_opens() -> None:
    read = read_answer(answer(), ORDER)
    assert isinstance(read, Decided)
    assert (read.allows, read.allowed_qty, read.valid_s, read.opens) == (True, Decimal("0.5"), 5.0, True)


def test_never_more_than_was_asked_is_allowed() -> None:
    read = read_answer(answer(allowed_qty="7"), ORDER)
    assert isinstance(read, Decided)
    assert read.allowed_qty == Decimal("0.5")


def test_an_order_of_which_no_part_opens_does_not_open() -> None:
    read = read_answer(answer(opening_qty="0"), ORDER)
    assert isinstance(read, Decided)
    assert not read.opens


@pytest.mark.parametrize("reason", ["JOURNAL_UNAVAILABLE", "NO_LEADER", "OVERLOADED"])
def test_a_no_decision_may_be_asked_again(reason: str) -> None:
    assert read_answer(answer(decision="DENY", reason=reason, event_id=None), ORDER) == Undecided(Reason(reason))


def test_invalid_request_is_for_the_caller() -> None:
    body = to_json({"decision": "DENY", "reason": "INVALID_REQUEST", "message": "qty: must be greater than 0"})
    assert read_answer(body, ORDER) == Invalid("qty: must be greater than 0")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[1]",
        b"\xff\xfe",
        b'{"decision":"ALLOW"}',
        answer(order_id="o-2"),
        answer(bot="qe2"),
        answer(account="other"),
        answer(qty="0.6"),
        answer(side="SELL"),
        answer(symbol="ETH-PERP"),
        answer(valid_until=...),
        answer(ts=...),
        answer(allowed_qty=...),
        answer(allowed_qty="0"),
        answer(decision="MAYBE"),
        answer(event_type="ORDER_REQUEST"),
    ],
)
def test_what_is_no_answer_to_this_order_counts_as_none(body: bytes) -> None:
    assert isinstance(read_answer(body, ORDER), Unreadable)


def test_a_conflict_is_an_answer_though_the_stored_order_differs() -> None:
    read = read_answer(answer(decision="DENY", reason="IDEMPOTENCY_CONFLICT", qty="0.6"), ORDER)
    assert isinstance(read, Decided)
    assert not read.allows
