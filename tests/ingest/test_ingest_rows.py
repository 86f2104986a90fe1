"""Events as rows: whatever a good line says can be read back from its row."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts import BY_TOKEN, Event, Provenance, encode, format_ts, parse
from fleet_contracts.money import plain
from fleet_ingest.core.rows import EPOCH, Envelope, Place, Row, events_row, microseconds, typed_row
from fleet_ingest.core.tables import META, NUL, NUL_SHOWN, TYPED, ColumnType, Table, as_json
from parts.freeze import example_files, line_of, subject_of

AT = datetime(2026, 1, 5, 10, 0, 0, 123456, tzinfo=UTC)
STORED = Provenance("FLEET", 7, AT)
EXAMPLES = [path for path in example_files() if BY_TOKEN[path.stem.split(".")[0]].type in TYPED]
NAMES = st.from_regex(r"[a-z_]{1,12}", fullmatch=True).map(lambda name: f"x_{name}")
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=5)
AMOUNTS = st.decimals(0, Decimal(10) ** 15 - 1, places=12, allow_nan=False).map(plain) | st.integers(1, 10**15 - 1)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)).map(format_ts)  # noqa: DTZ001
VALUES = {
    ColumnType.DECIMAL: AMOUNTS,
    ColumnType.LONG: st.integers(1, 1_000_000),
    ColumnType.DOUBLE: st.floats(0, 1),
    ColumnType.BOOLEAN: st.booleans(),
    ColumnType.TIMESTAMP: MOMENTS,
    ColumnType.VARCHAR: TEXTS | JSON,
    ColumnType.SYMBOL: TEXTS | st.sampled_from(["BUY", "SELL", "OK", "ACTIVE", "paper", "true"]) | st.booleans(),
}


def row_and_event(subject: str, line: bytes) -> tuple[Row, Event, Table] | None:
    parsed = parse(subject, line, STORED)
    if parsed.bad:
        return None
    event = parsed.lines[0].event
    table = TYPED[event.event_type]
    return typed_row(event, table), event, table


def assert_survives(row: Row, event: Event, table: Table) -> None:
    """Every field that is there stands in its own column, exactly; the unknown ones stand in meta_json; nothing else does."""
    assert event.ts is not None
    assert EPOCH + timedelta(microseconds=row.at_us) == event.ts
    sent = json.loads(encode(event))
    left = dict(row.columns)
    for column in table.columns[:-1]:
        value = getattr(event, column.field)
        if value is None:
            continue
        kept = left.pop(column.name)
        if column.convert is as_json:
            assert json.loads(str(kept)) == sent[column.field]
        elif isinstance(value, str):
            assert kept == value.replace(NUL, NUL_SHOWN)
        elif isinstance(kept, str):
            assert kept == json.dumps(value), "a flag"
        else:
            assert kept == value
    unknown = json.loads(str(left.pop(META, "{}")))
    assert unknown == {name: value for name, value in sent.items() if name in (event.model_extra or {})}
    assert not left


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_survives_in_its_row(path: Any) -> None:
    spec = BY_TOKEN[path.stem.split(".")[0]]
    line = line_of(path)
    parsed = parse(subject_of(spec, line), line, STORED)
    event = (parsed.lines[0]).event
    table = TYPED[event.event_type]
    assert_survives(typed_row(event, table), event, table)


@given(st.data())
def test_whatever_a_good_line_says_survives_in_its_row(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(EXAMPLES))
    spec = BY_TOKEN[path.stem.split(".")[0]]
    line = json.loads(line_of(path))
    subject = subject_of(spec, line_of(path))
    for column in data.draw(st.lists(st.sampled_from(TYPED[spec.type].columns[:-1]), max_size=5, unique=True)):
        if column.field not in ("account", "source"):
            changed = line | {column.field: data.draw(VALUES[column.type])}
            line = changed if row_and_event(subject, json.dumps(changed).encode()) else line
    line |= data.draw(st.dictionaries(NAMES, JSON, max_size=3))
    made = row_and_event(subject, json.dumps(line).encode())
    assert made is not None
    assert_survives(*made)
    row = made[0]
    assert all(type(value) in (str, int, float, bool, Decimal, datetime) for value in row.columns.values())
    assert not [value for value in row.columns.values() if isinstance(value, str) and NUL in value]


def test_a_limit_is_kept_as_limit_value_and_a_refusal_as_it_was_decided() -> None:
    line = b'{"bot":"qe1","order_id":"o","symbol":"S","side":"BUY","order_type":"MARKET","qty":"1","decision":"DENY",' + (
        b'"reason":"ORDER_NOTIONAL_TOO_LARGE","check":"max_order_notional","value":"430.01","limit":"400"}'
    )
    made = row_and_event("fleet.main.order_decision.risk-gateway", line)
    assert made is not None
    columns = made[0].columns
    assert (columns["value"], columns["limit_value"]) == (Decimal("430.01"), Decimal(400))
    assert columns["reason"] == "ORDER_NOTIONAL_TOO_LARGE"


def test_a_flag_that_may_be_absent_is_told_apart_from_no() -> None:
    subject, line = "fleet.main.risk_state.risk-gateway", b'{"trading_state":"ACTIVE"%s}'
    rows = [row_and_event(subject, line % more) for more in (b"", b',"trusted":false', b',"trusted":true')]
    assert [made[0].columns.get("trusted") for made in rows if made] == [None, "false", "true"]


def test_an_event_without_time_and_id_gets_the_streams() -> None:
    made = row_and_event("fleet.main.signal_context.qe1", b'{"signal_id":"s","symbol":"S"}')
    assert made is not None
    assert made[0].at_us == microseconds(AT)
    assert made[0].columns["event_id"] == "FLEET-7-0"


def test_the_body_of_a_long_bad_line_is_cut_and_mended() -> None:
    place = Place("FLEET", 7, 0, "fleet.main.trade.qe1", AT)
    row = events_row(place, Envelope("TRADE", "FLEET-7-0", "main", "qe1"), b"\xff\x00" + b"a" * 100_000)
    assert row.columns["body"] == "\ufffd" + NUL_SHOWN + "a" * 65_534


def test_microseconds_are_exact() -> None:
    assert microseconds(datetime(2026, 1, 5, 10, 0, 0, 123457, tzinfo=UTC)) == 1_767_607_200_123_457
    assert microseconds(EPOCH - timedelta(microseconds=1)) == -1
