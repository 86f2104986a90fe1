"""The quick reader against the contract: what it takes, the contract takes too, and makes the very same event of it."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleet_chassis.quick_read import quick_read
from fleet_contracts import BY_TOKEN, EventSpec, OrderRequest, encode, parse, parse_order
from parts.freeze import example_files, line_of, subject_of

EXAMPLES = {path.stem: line_of(path) for path in example_files()}
HOT = {"ORDER_REQUEST", "ORDER_DECISION", "ORDER_EVENT", "TRADE", "SIGNAL_CONTEXT", "SIGNAL_REVIEW", "HEARTBEAT", "MARK"}


def spec_of(name: str) -> EventSpec:
    return BY_TOKEN[name.split(".")[0]]


def same(spec: EventSpec, line: bytes) -> bool:
    """Whether the quick reader was sure; it is then right: the contract, alone, reads the same."""
    quick = quick_read(spec, line)
    if quick is None:
        return False
    slow = spec.model.model_validate_json(line)
    assert quick == slow
    assert quick.__dict__ == slow.__dict__
    assert [type(value) for value in quick.__dict__.values()] == [type(value) for value in slow.__dict__.values()]
    return True


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_kept_example_is_read_as_the_contract_reads_it(name: str) -> None:
    same(spec_of(name), EXAMPLES[name])


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_message_of_it_has_the_same_lines_and_bad_lines(name: str) -> None:
    line = EXAMPLES[name]
    subject = subject_of(spec_of(name), line)
    body = b"\n".join([line, b"{}", b"", line[:-2], line])
    assert parse(subject, body, None, quick_read) == parse(subject, body)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if spec_of(name).type in HOT])
def test_what_the_fleet_writes_in_masses_is_read_quickly(name: str) -> None:
    subject = subject_of(spec_of(name), EXAMPLES[name])
    event = parse(subject, EXAMPLES[name]).lines[0].event
    assert same(spec_of(name), encode(type(event).model_construct(**event.__dict__)))


ORDER = {"order_id": "a", "symbol": "S", "side": "BUY", "order_type": "LIMIT", "qty": "1", "price": "2"}
ODD = [
    {"qty": 1},
    {"qty": 0.1},
    {"qty": "1e3"},
    {"qty": " 1"},
    {"qty": "1_0"},
    {"qty": "NaN"},
    {"qty": "-1"},
    {"qty": "0"},
    {"qty": "٣"},
    {"qty": "0" * 16},
    {"price": None},
    {"price": "999999999999999", "qty": "999999999999999"},
    {"side": "buy"},
    {"order_id": "a\n"},
    {"order_id": ""},
    {"account": ""},
    {"account": None},
    {"schema_version": True},
    {"schema_version": 1.0},
    {"reduce_only": 0},
    {"reduce_only": None},
    {"ts": "2026-01-05T10:00:00"},
    {"ts": "2026-01-05 10:00:00Z"},
    {"ts": "2026-01-05T10:00:00.1234567Z"},
    {"ts": "2026-02-30T10:00:00Z"},
    {"ts": "2026-01-05T24:00:00Z"},
    {"ts": "0001-01-05T10:00:00Z"},
    {"ts": "9999-01-05T10:00:00Z"},
    {"ts": 1767607200},
    {"after_seq": -1},
    {"after_seq": 2**63},
    {"deadline_ms": 60_001},
    {"strategy": "x" * 65},
    {"symbol": ""},
    {"signal_context": []},
    {"signal_context": {"deep": {"f": 0.1, "n": None, "big": 2**70}}},
    {"unknown": 1},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_an_odd_field_is_judged_by_the_contract_alone(odd: dict[str, Any]) -> None:
    line = json.dumps(ORDER | odd).encode()
    alone = _outcome(line, None)
    assert _outcome(line, quick_read) == alone


def _outcome(line: bytes, read: Any) -> Any:
    parsed = parse("fleet.main.order_request.qe1", line, None, read)
    return [one.event.__dict__ for one in parsed.lines], [(bad.reason, bad.detail) for bad in parsed.bad]


FREE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), lambda part: st.lists(part, max_size=3)
)


@given(name=st.sampled_from(sorted(EXAMPLES)), data=st.data())
def test_whatever_it_is_sure_of_the_contract_reads_the_same(name: str, data: st.DataObject) -> None:
    spec = spec_of(name)
    sent = json.loads(EXAMPLES[name])
    field = data.draw(st.sampled_from(sorted(spec.model.model_fields)))
    sent[field] = data.draw(FREE | st.sampled_from(["", "1", "0.5", "a", "BUY", "2026-01-05T10:00:00.5Z", {}, {"a": 1e400}]))
    same(spec, json.dumps(sent).encode())


@given(line=st.binary(max_size=60))
@example(b'{"order_id":"a","order_id":"b","symbol":"S","side":"BUY","order_type":"MARKET","qty":"1"}')
@example(b'{"order_id":"\\ud800","symbol":"S","side":"BUY","order_type":"MARKET","qty":"1"}')
@example(b'\xef\xbb\xbf{"order_id":"a","symbol":"S","side":"BUY","order_type":"MARKET","qty":"1"}')
@example(b'{"order_id":"a","symbol":"S","side":"BUY","order_type":"MARKET","qty":"1","signal_context":{"a":NaN}}')
@example(b'{"order_id":"a","symbol":"S","side":"BUY","order_type":"MARKET","qty":"1","signal_context":{"a":"\xff"}}')
@example(b'{"order_id":"a","symbol":"S","side":"BUY","order_type":"MARKET","qty":"1","signal_context":{"a":1e400}}')
@example(b'{"order_id":"a","symbol":"S","side":"BUY","order_type":"MARKET","qty":"1","signal_context":' + b"[" * 5000)
def test_of_bytes_that_are_no_usual_line_it_is_never_sure_alone(line: bytes) -> None:
    same(BY_TOKEN["order_request"], line)


def test_a_door_s_order_is_the_same_both_ways() -> None:
    line = json.dumps(ORDER | {"source": "qe1"}).encode()
    quick = parse_order(line, account="main", bot="qe1", read=quick_read)
    assert isinstance(quick, OrderRequest)
    assert quick == parse_order(line, account="main", bot="qe1")
    assert quick.model_copy(update={"qty": quick.price}).qty == quick.price


@pytest.mark.parametrize(
    "ts", ["2026-01-05T10:00:00+00:00", "2026-01-05T10:00:00.123+00:00", "2026-01-05T10:00:00.123456+00:00"]
)
def test_utc_as_python_writes_it_is_read_quickly(ts: str) -> None:
    assert same(BY_TOKEN["order_request"], json.dumps(ORDER | {"ts": ts}).encode())


@pytest.mark.parametrize("ts", ["2026-01-05T10:00:00-00:00", "2026-01-05T10:00:00+01:00", "2026-01-05T10:00:00+00:00:00"])
def test_other_zones_are_left_to_the_contract(ts: str) -> None:
    assert not same(BY_TOKEN["order_request"], json.dumps(ORDER | {"ts": ts}).encode())
