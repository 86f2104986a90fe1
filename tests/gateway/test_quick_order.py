"""The doors' quick reader of orders against the contract: what it takes, `parse_order` takes too, and reads the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts import BadInput, OrderRequest, content_hash, parse_order
from parts.freeze import example_files, line_of
from risk_gateway.core.decision import Order, sent_fields
from risk_gateway.quick_order import quick_order

EXAMPLES = {path.stem: line_of(path) for path in example_files() if path.stem.startswith("order_request")}
ORDER = {"order_id": "a", "symbol": "S", "side": "BUY", "order_type": "LIMIT", "qty": "0.010", "price": "2"}
VALUES = {
    "account": ["main", "", None, "other", "a b"],
    "source": ["qe1", "", None, "other"],
    "event_type": ["ORDER_REQUEST", "", None, "TRADE"],
    "event_id": ["e-1", "FLEET-1-1", None, ""],
    "schema_version": [1, 2, True, 0, 1.0],
    "cause": ["x", "y" * 129],
    "ts": ["2026-01-05T10:00:00Z", "2026-01-05T10:00:00.123Z", "2026-01-05T10:00:00+02:00", "2026-13-05T10:00:00Z", 1],
    "order_id": ["a", "", "a\n", "a" * 65, "é", None],
    "order_type": ["MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT", "limit"],
    "side": ["BUY", "SELL", "buy", None],
    "reduce_only": [True, False, 0, None, "true"],
    "replaces": ["b", "", "b\n", None],
    "deadline_ms": [250, 0, 60_001, 1.5, None],
    "after_seq": [0, -1, 2**63, None],
    "signal_context": [{}, {"a": 1}, [], None],
    "strategy": ["s", "s" * 65, None],
    "unknown": [1],
    **{
        name: ["1", "0.010", "0", "-1", "1e3", "NaN", "999999999999999", "1" * 16, "0.0000000000001", " 1", 1, 0.5, None]
        for name in ("qty", "price", "stop_price", "reference_price", "leverage")
    },
}


def quick(line: bytes, account: str | None = "main") -> Order | None:
    """What the quick reader takes is what the contract reads, to the last field."""
    order = quick_order(line, account, "qe1")
    if order is not None:
        alone = parse_order(line, account=account, bot="qe1")
        assert sent_fields(order) == sent_fields(alone)
        assert [type(value) for value in sent_fields(order).values()] == [type(value) for value in sent_fields(alone).values()]
        assert content_hash(order) == content_hash(alone)
    return order


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_kept_example_is_read_the_same(name: str) -> None:
    quick(EXAMPLES[name])
    quick(EXAMPLES[name], None)


def test_a_usual_order_is_taken() -> None:
    for more in ({}, {"account": "main", "source": "qe1", "event_type": "ORDER_REQUEST", "ts": "2026-01-05T10:00:00.123456Z"}):
        order = quick(json.dumps(ORDER | more).encode())
        assert order is not None
        assert not isinstance(order, OrderRequest)
    assert quick(json.dumps(ORDER).encode(), None) is None
    assert quick(json.dumps(ORDER | {"account": "alt"}).encode(), None) is not None


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in VALUES.items() for value in values], ids=str)
def test_one_field_of_every_kind(field: str, value: Any) -> None:
    quick(json.dumps(ORDER | {field: value}).encode())


@given(st.fixed_dictionaries({}, optional={field: st.sampled_from(values) for field, values in VALUES.items()}))
def test_whatever_it_takes_the_contract_takes(fields: dict[str, Any]) -> None:
    line = json.dumps(ORDER | fields).encode()
    quick(line)
    quick(line, None)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"\xff", b'{"order_id":"\\ud800"}', b"x" * 5000])
def test_what_is_no_order_is_left_to_the_contract(line: bytes) -> None:
    assert quick_order(line, "main", "qe1") is None
    with pytest.raises(BadInput):
        parse_order(line, account="main", bot="qe1")
