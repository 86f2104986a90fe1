"""Bytes into events: what is taken, what is refused and why, what is filled in.

One file, though long: every way a line can be wrong, side by side.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from fleet_contracts import (
    BadInput,
    BadLine,
    DeadReason,
    Event,
    Heartbeat,
    OrderRequest,
    Parsed,
    Provenance,
    encode,
    parse,
    parse_order,
)
from fleet_contracts.parse import LINE_BYTES_MAX, ORDER_BYTES_MAX

AT = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
STORED = Provenance("FLEET", 7, AT)
ORDERS = "fleet.main.order_request.qe1"
FILLS = "fleet.main.order_event.qe1"
BEATS = "fleet.main.heartbeat.qe1"
ORDER: dict[str, Any] = {"order_id": "o-1", "symbol": "BTC-PERP", "side": "BUY", "order_type": "MARKET", "qty": "0.01"}


def body(**fields: Any) -> bytes:
    return json.dumps(ORDER | fields).encode()


def raw(fields: bytes) -> bytes:
    """An order with more fields, as bytes, after its own."""
    return body()[:-1] + b"," + fields + b"}"


def the_event(parsed: Parsed) -> Event:
    assert not parsed.bad
    return parsed.lines[0].event


def the_order(line: bytes) -> OrderRequest:
    event = the_event(parse(ORDERS, line, STORED))
    assert isinstance(event, OrderRequest)
    return event


def the_bad(parsed: Parsed) -> BadLine:
    assert not parsed.lines
    assert len(parsed.bad) == 1
    return parsed.bad[0]


def test_a_bare_line_gets_type_account_and_source_from_its_subject() -> None:
    event = the_event(parse(ORDERS, body()))
    assert (event.event_type, event.account, event.source, event.schema_version) == ("ORDER_REQUEST", "main", "qe1", 1)


def test_without_a_stream_a_bare_line_has_neither_time_nor_id() -> None:
    event = the_event(parse(ORDERS, body()))
    assert (event.ts, event.event_id) == (None, None)


def test_a_stored_line_gets_the_stream_s_time_and_an_id_that_says_where_it_stands() -> None:
    event = the_event(parse(ORDERS, b"\n\n" + body(), STORED))
    assert (event.ts, event.event_id) == (AT, "FLEET-7-2")


def test_what_the_sender_says_of_time_and_id_stands() -> None:
    event = the_event(parse(ORDERS, body(ts="2026-01-01T01:00:00+01:00", event_id="mine-1"), STORED))
    assert (event.ts, event.event_id) == (datetime(2026, 1, 1, tzinfo=UTC), "mine-1")


def test_a_heartbeat_without_an_id_is_named_by_its_process_and_count() -> None:
    event = the_event(parse(BEATS, b'{"pid": 42, "seq": 7}', STORED))
    assert isinstance(event, Heartbeat)
    assert event.event_id == "hb-42-7"


def test_a_heartbeat_without_pid_or_seq_is_named_by_its_place() -> None:
    assert the_event(parse(BEATS, b'{"seq": 7}', Provenance("HEARTBEAT", 3, AT))).event_id == "HEARTBEAT-3-0"


def test_a_bad_line_does_not_take_its_neighbours_along() -> None:
    parsed = parse(ORDERS, b"\n".join([body(), b"{oops", b"", body(order_id="o-2"), b"  ", body(qty="-1")]), STORED)
    assert [line.index for line in parsed.lines] == [0, 3]
    assert [(line.index, line.reason) for line in parsed.bad] == [(1, DeadReason.NOT_JSON), (5, DeadReason.INVALID)]


def test_a_line_keeps_its_bytes() -> None:
    line = b'{"order_id":"o-1",  "symbol":"B","side":"SELL","order_type":"MARKET","qty":1e-3}\r'
    assert parse(ORDERS, line).lines[0].raw == line


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"nonsense",
        b"'single'",
        raw(b'"x": NaN'),
        raw(b'"x": Infinity'),
        raw(b'"x": -Infinity'),
        raw(b'"x": [1, {"y": NaN}]'),
        raw(b'"price": NaN'),
        raw(b'"x": "\xff"'),
        raw(b'"\xff": 1'),
        b"\xef\xbb\xbf" + body(),
        raw(b'"x": "\\ud800"'),
        raw(b'"x": "\\ud800", "y": 1e5'),
        raw(b'"x":' + b"[" * 300 + b"]" * 300),
        raw(b'"y": 1e5, "x":' + b"[" * 600 + b"]" * 600),
        b"[" * 60_000,
        b'{"a":' * 12_000,
        raw(b'"x":' + b"1" * 5_000),
        body() + body(),
    ],
    ids=lambda line: line[-40:].decode("ascii", "replace"),
)
def test_what_is_not_json_is_said_to_be_none(line: bytes) -> None:
    assert the_bad(parse(ORDERS, line, STORED)).reason is DeadReason.NOT_JSON


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"qty": None}, "qty"),
        ({"qty": True}, "qty"),
        ({"qty": "NaN"}, "qty"),
        ({"qty": "Infinity"}, "qty"),
        ({"qty": "-0.01"}, "qty"),
        ({"qty": 0}, "qty"),
        ({"qty": "0e-99999999"}, "qty"),
        ({"qty": "1" * 40}, "qty"),
        ({"qty": int("1" * 40)}, "qty"),
        ({"qty": "0." + "1" * 13}, "qty"),
        ({"qty": "0.1" + "0" * 40}, "qty"),
        ({"qty": 1e300}, "qty"),
        ({"qty": "1e999999999"}, "qty"),
        ({"qty": "1" * 16}, "qty"),
        ({"qty": "1_000"}, "qty"),
        ({"qty": " 1"}, "qty"),
        ({"qty": "١"}, "qty"),
        ({"qty": ""}, "qty"),
        ({"qty": [0, [1], 0]}, "qty"),
        ({"qty": {"amount": 1}}, "qty"),
        ({"side": "LONG"}, "side"),
        ({"side": "buy"}, "side"),
        ({"order_type": "ICEBERG"}, "order_type"),
        ({"symbol": 7}, "symbol"),
        ({"symbol": ""}, "symbol"),
        ({"order_id": "a b"}, "order_id"),
        ({"order_id": "x" * 65}, "order_id"),
        ({"order_id": "a\n"}, "order_id"),
        ({"reduce_only": "false"}, "reduce_only"),
        ({"reduce_only": 1}, "reduce_only"),
        ({"price": "0"}, "price"),
        ({"leverage": -1}, "leverage"),
        ({"ts": 1_767_600_000}, "ts"),
        ({"ts": "1767600000"}, "ts"),
        ({"ts": "2026-01-05T10:00:00"}, "ts"),
        ({"ts": "yesterday"}, "ts"),
        ({"ts": "0001-01-01T00:00:00+14:00"}, "ts"),
        ({"ts": "9999-12-31T23:59:59-14:00"}, "ts"),
        ({"schema_version": 0}, "schema_version"),
        ({"schema_version": "1"}, "schema_version"),
        ({"event_id": "e" * 65}, "event_id"),
        ({"event_id": "a.b"}, "event_id"),
        ({"event_id": "FLEET-1-0"}, "event_id"),
        ({"event_id": "HEARTBEAT-12-3"}, "event_id"),
        ({"event_id": "hb-1-2"}, "event_id"),
        ({"signal_context": "text"}, "signal_context"),
        ({"deadline_ms": 1.5}, "deadline_ms"),
        ({"after_seq": -1}, "after_seq"),
        ({"account": "a.b"}, "account"),
        ({"source": "*"}, "source"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(fields: dict[str, Any], field: str) -> None:
    bad = the_bad(parse(ORDERS, body(**fields), STORED))
    assert (bad.reason, bad.detail.split(":")[0]) == (DeadReason.INVALID, field)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"order_type": "LIMIT"}, "price is required for LIMIT"),
        ({"order_type": "STOP_LIMIT", "stop_price": 1}, "price is required for STOP_LIMIT"),
        ({"order_type": "STOP_MARKET"}, "stop_price is required for STOP_MARKET"),
        ({"order_type": "STOP_LIMIT", "price": 1}, "stop_price is required for STOP_LIMIT"),
        ({"qty": "1e9", "price": "1e9"}, "the notional is 1e18 or more"),
        ({"qty": "1e9", "reference_price": "1e9"}, "the notional is 1e18 or more"),
    ],
    ids=str,
)
def test_an_order_that_is_not_whole_says_what_it_lacks(fields: dict[str, Any], said: str) -> None:
    assert said in the_bad(parse(ORDERS, body(**fields), STORED)).detail


def test_a_notional_just_under_the_bound_is_taken() -> None:
    assert the_order(body(qty="1e9", price="999999999.999999999999")).price == Decimal("999999999.999999999999")


@pytest.mark.parametrize("line", [b"[]", b"5", b'"text"', b"null", b"true"])
def test_json_that_is_no_object_is_no_event(line: bytes) -> None:
    assert the_bad(parse(ORDERS, line, STORED)).reason is DeadReason.INVALID


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"account": "other"}, "account"), ({"source": "qe2"}, "source"), ({"event_type": "TRADE"}, "event_type")],
)
def test_what_disagrees_with_the_subject_is_refused(fields: dict[str, Any], field: str) -> None:
    bad = the_bad(parse(ORDERS, body(**fields), STORED))
    assert (bad.reason, bad.detail.split(":")[0]) == (DeadReason.SUBJECT_MISMATCH, field)


def test_another_event_s_body_is_a_mismatch_rather_than_a_list_of_what_it_lacks() -> None:
    bad = the_bad(parse(ORDERS, b'{"event_type": "EQUITY", "equity": "1"}', STORED))
    assert bad.reason is DeadReason.SUBJECT_MISMATCH


@pytest.mark.parametrize(
    "subject", ["fleet.main.nonsense.qe1", "fleet.main.order_request", "", "live.fleet.main.equity.qe1", "fleet.m*.equity.qe1"]
)
def test_every_line_on_an_unknown_subject_is_bad(subject: str) -> None:
    parsed = parse(subject, b"a\n\n \nb", STORED)
    assert not parsed.lines
    assert [(line.index, line.reason) for line in parsed.bad] == [
        (0, DeadReason.UNKNOWN_EVENT),
        (3, DeadReason.UNKNOWN_EVENT),
    ]


def test_a_line_over_64_kb_is_too_large_and_one_of_64_kb_is_not() -> None:
    empty = len(b'{"order_id":"a","status":"WORKING","x":""}')
    fits = b'{"order_id":"a","status":"WORKING","x":"' + b"x" * (LINE_BYTES_MAX - empty) + b'"}'
    assert len(fits) == LINE_BYTES_MAX
    assert not parse(FILLS, fits, STORED).bad
    assert the_bad(parse(FILLS, fits.replace(b"xx", b"xxx", 1), STORED)).reason is DeadReason.TOO_LARGE


def test_an_order_leaves_room_for_its_decision() -> None:
    """The decision repeats the order and is one event itself; a decision no fold can read would be no decision."""
    assert the_bad(parse(ORDERS, body(x="y" * ORDER_BYTES_MAX), STORED)).reason is DeadReason.TOO_LARGE


def test_an_order_may_not_outgrow_its_bound_when_it_is_written_again() -> None:
    grows = raw(b'"x":[' + b",".join([b"1e15"] * 10_000) + b"]")
    assert len(grows) < ORDER_BYTES_MAX
    assert the_bad(parse(ORDERS, grows, STORED)).reason is DeadReason.TOO_LARGE


def test_a_detail_stays_short_whatever_was_sent() -> None:
    long = parse("fleet.main.equity.qe1", json.dumps({"equity": "1", "positions": [{"symbol": "s" * 9999}]}).encode(), STORED)
    assert len(the_bad(long).detail) <= 300


@pytest.mark.parametrize("name", ["cls", "self", "_fields_set", "values", "model_config", "__dict__", "__class__", "copy"])
def test_an_unknown_field_may_have_any_name(name: str) -> None:
    order = the_order(body(**{name: 1}))
    again = OrderRequest.model_construct(**order.__dict__, **(order.model_extra or {}))
    assert json.loads(encode(again))[name] == 1


def test_of_repeated_keys_the_last_counts_on_the_quick_and_on_the_exact_way() -> None:
    assert the_order(raw(b'"qty": 2, "qty": 3')).qty == 3
    assert the_order(raw(b'"qty": 2, "x": 1e5, "qty": 3')).qty == 3


def test_a_door_takes_the_order_of_the_bot_it_knows() -> None:
    order = parse_order(body(), account="main", bot="qe1")
    assert (order.account, order.source, order.event_id) == ("main", "qe1", None)


def test_a_door_without_a_single_account_takes_the_one_the_order_names() -> None:
    assert parse_order(body(account="alt"), account=None, bot="qe1").account == "alt"


@pytest.mark.parametrize(
    ("line", "account", "reason", "field"),
    [
        (b"{", "main", DeadReason.NOT_JSON, None),
        (body(qty=-1), "main", DeadReason.INVALID, "qty"),
        (body(source="qe2"), "main", DeadReason.SUBJECT_MISMATCH, "source"),
        (body(account="alt"), "main", DeadReason.SUBJECT_MISMATCH, "account"),
        (body(), None, DeadReason.INVALID, "account"),
        (b" " * (LINE_BYTES_MAX + 1), "main", DeadReason.TOO_LARGE, None),
    ],
)
def test_a_door_says_what_is_wrong_with_an_order(
    line: bytes, account: str | None, reason: DeadReason, field: str | None
) -> None:
    with pytest.raises(BadInput) as caught:
        parse_order(line, account=account, bot="qe1")
    assert (caught.value.reason, caught.value.field) == (reason, field)
