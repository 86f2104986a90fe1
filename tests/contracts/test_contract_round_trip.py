"""Whatever is encoded is parsed back the same, and whatever arrives, parse answers with lines and bad lines."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts import (
    EVENTS,
    Decision,
    Event,
    EventSpec,
    Halt,
    OrderDecision,
    OrderRequest,
    Provenance,
    RiskState,
    TradingState,
    derived_id,
    encode,
    event_subject,
    parse,
)
from fleet_contracts.encode import encode_reply
from fleet_contracts.ids import NAMESPACE
from parts.freeze import example_files, line_of, subject_of

AT = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
STORED = Provenance("FLEET", 7, AT)
TOKENS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
AMOUNTS = st.decimals(Decimal("1e-12"), Decimal(99_999), allow_nan=False, places=12)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
NAMES = [path.stem for path in example_files()]
BY_TOKEN = {spec.token: spec for spec in EVENTS}


def example_event(name: str) -> tuple[EventSpec, str, Event]:
    spec = BY_TOKEN[name.split(".")[0]]
    line = line_of(next(path for path in example_files() if path.stem == name))
    subject = subject_of(spec, line)
    return spec, subject, parse(subject, line, STORED).lines[0].event


def test_every_event_has_an_example() -> None:
    assert {name.split(".")[0] for name in NAMES} == set(BY_TOKEN)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_survives_encoding(name: str) -> None:
    _, subject, event = example_event(name)
    again = parse(subject, encode(event))
    assert not [bad for bad in again.bad if "a form the fleet gives out" not in bad.detail]
    for line in again.lines:
        assert line.event == event
        assert encode(line.event) == encode(event)


@given(order_id=TOKENS, qty=AMOUNTS, price=AMOUNTS, ts=MOMENTS, event_id=TOKENS.filter(lambda token: "-" not in token))
def test_an_order_survives_encoding(order_id: str, qty: Decimal, price: Decimal, ts: datetime, event_id: str) -> None:
    order = OrderRequest.model_validate(
        {"event_type": "ORDER_REQUEST", "account": "main", "source": "qe1", "ts": ts, "event_id": event_id}
        | {"order_id": order_id, "symbol": "S", "side": "BUY", "order_type": "LIMIT", "qty": qty, "price": price}
    )
    assert parse(event_subject("main", "order_request", "qe1"), encode(order)).lines[0].event == order


def test_absent_fields_are_left_out_and_amounts_are_plain_strings() -> None:
    order = OrderRequest.model_validate(
        {"order_id": "o", "symbol": "S", "side": "BUY", "order_type": "LIMIT", "qty": Decimal("1E+3"), "price": 0.1}
        | {"account": "main", "source": "qe1", "event_type": "ORDER_REQUEST"}
    )
    assert json.loads(encode(order)) == {
        "event_type": "ORDER_REQUEST",
        "schema_version": 1,
        "account": "main",
        "source": "qe1",
        "order_id": "o",
        "symbol": "S",
        "side": "BUY",
        "order_type": "LIMIT",
        "qty": "1000",
        "price": "0.1",
        "reduce_only": False,
    }


@pytest.mark.parametrize(
    ("ts", "written"),
    [
        ("2026-01-05T10:00:00Z", "2026-01-05T10:00:00Z"),
        ("2026-01-05T12:00:00.5+02:00", "2026-01-05T10:00:00.500000Z"),
        ("2026-01-05T10:00:00.123456789Z", "2026-01-05T10:00:00.123456Z"),
    ],
)
def test_times_are_written_as_utc_down_to_microseconds(ts: str, written: str) -> None:
    event = parse("fleet.main.bot_ack.qe1", json.dumps({"command_id": "c", "state": "DONE", "ts": ts}).encode()).lines[0].event
    assert json.loads(encode(event))["ts"] == written


def test_an_unknown_null_stays_a_null_even_inside_parts() -> None:
    line = b'{"equity": "1", "x": null, "y": 1, "z": null, "positions": [{"symbol": "S", "qty": "1", "w": {"v": null}}]}'
    again = json.loads(encode(parse("fleet.main.equity.qe1", line).lines[0].event))
    assert (again["x"], again["y"], again["z"], again["positions"][0]["w"]) == (None, 1, None, {"v": None})


def test_a_reply_that_is_no_decision_shows_its_missing_id() -> None:
    reply = OrderDecision.model_construct(account="main", bot="qe1", decision=Decision.DENY, reason="OVERLOADED")
    assert json.loads(encode_reply(reply))["event_id"] is None
    stored = OrderDecision.model_construct(account="main", bot="qe1", decision=Decision.DENY, reason="HALTED", event_id="d-1")
    assert json.loads(encode_reply(stored))["event_id"] == "d-1"


def test_a_part_made_by_a_service_is_read_back_whole() -> None:
    halt = Halt(halt_id="h", cause="DAILY_LOSS", since=AT)
    state = RiskState(
        event_type="RISK_STATE", account="main", source="risk-gateway", trading_state=TradingState.HALTED, halts=[halt]
    )
    assert parse("fleet.main.risk_state.risk-gateway", encode(state)).lines[0].event == state


SUBJECTS = [event_subject("main", spec.token, "qe1") for spec in EVENTS] + ["fleet.main.unheard_of.qe1", "not a subject"]
FRAGMENTS = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b":", b",", b"\n", b"\\", b"1e400", b"-0", b"NaN", b"null", b"true", b"\xff", b'"qty"', b" "]
)
JSON_LINES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text() | st.datetimes().map(str),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


@given(
    subject=st.sampled_from(SUBJECTS),
    body=st.binary(max_size=200) | st.lists(FRAGMENTS, max_size=40).map(b"".join),
    stored=st.sampled_from([STORED, None]),
)
def test_no_bytes_make_parse_raise_and_every_line_is_accounted_for(
    subject: str, body: bytes, stored: Provenance | None
) -> None:
    parsed = parse(subject, body, stored)
    lines = {index for index, line in enumerate(body.split(b"\n")) if line and not line.isspace()}
    taken = [line.index for line in parsed.lines] + [line.index for line in parsed.bad]
    assert sorted(taken) == sorted(lines)


@given(spec=st.sampled_from(EVENTS), data=st.data())
def test_no_value_in_any_field_makes_parse_or_encode_raise(spec: EventSpec, data: st.DataObject) -> None:
    fields: dict[str, Any] = data.draw(
        st.dictionaries(st.sampled_from(sorted(spec.model.model_fields)), JSON_LINES, max_size=4), label="fields"
    )
    good = json.loads(line_of(next(path for path in example_files() if path.name.split(".")[0] == spec.token)))
    line = json.dumps(good | fields).encode()
    parsed = parse(subject_of(spec, json.dumps(good).encode()), line, STORED)
    assert len(parsed.lines) + len(parsed.bad) == 1
    for taken in parsed.lines:
        encode(taken.event)


def test_a_derived_id_is_the_uuid5_of_its_name() -> None:
    assert derived_id("main", "qe1", "o-1", "ORDER_DECISION") == str(uuid5(NAMESPACE, "main/qe1/o-1/ORDER_DECISION"))
    assert derived_id("main", "qé1", "o", "T", "x") == str(uuid5(NAMESPACE, "main/qé1/o/T/x"))


@pytest.mark.parametrize("name", NAMES)
def test_an_event_made_of_its_fields_is_the_event_read(name: str) -> None:
    _, _, event = example_event(name)
    made = type(event).model_construct(**event.__dict__, **(event.model_extra or {}))
    assert made == event
    assert encode(made) == encode(event)
