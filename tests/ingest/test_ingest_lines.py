"""What becomes of a stored line: rows, a letter, or both. Every reason of the contract has its case."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fleet_contracts import DeadReason
from fleet_ingest.core.lines import Calendar, Judged, StoredMessage, judge
from fleet_ingest.core.rows import microseconds

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TRADE = {"symbol": "BTC-PERP", "side": "BUY", "price": "43000.5", "qty": "0.01", "pnl": "-1.5", "event_id": "t1"}
STATE = {"trading_state": "ACTIVE", "event_id": "s1"}
SUBJECT = "fleet.main.trade.qe1"
STATES = "fleet.main.risk_state.risk-gateway"


def judged(
    body: bytes | dict[str, object], subject: str = SUBJECT, leader: str | None = None, calendar: Calendar | None = None
) -> list[Judged]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    stream = "HEARTBEAT" if ".heartbeat." in subject else "FLEET"
    return list(judge(StoredMessage(stream, 12, NOW, subject, raw, leader), calendar or Calendar(), NOW))


def tables(line: Judged) -> list[str]:
    return [row.table for row in line.rows]


def test_a_good_line_gets_its_row_in_events_and_its_typed_row() -> None:
    (line,) = judged(TRADE)
    assert tables(line) == ["events", "trades"]
    assert line.letter is None


def test_a_line_without_a_table_of_its_own_stands_in_events() -> None:
    (line,) = judged({"command_id": "c", "state": "DONE"}, "fleet.main.bot_ack.qe1")
    assert tables(line) == ["events"]
    assert line.letter is None


@pytest.mark.parametrize(
    ("body", "subject", "reason"),
    [
        (b"nope", SUBJECT, DeadReason.NOT_JSON),
        (b"\xff\xfe{}", SUBJECT, DeadReason.NOT_JSON),
        (b"[1, 2]", SUBJECT, DeadReason.INVALID),
        (json.dumps(TRADE | {"qty": "-1"}).encode(), SUBJECT, DeadReason.INVALID),
        (json.dumps(TRADE | {"side": "LONG"}).encode(), SUBJECT, DeadReason.INVALID),
        (json.dumps(TRADE | {"price": 1e300}).encode(), SUBJECT, DeadReason.INVALID),
        (json.dumps(TRADE | {"source": "qe2"}).encode(), SUBJECT, DeadReason.SUBJECT_MISMATCH),
        (json.dumps(TRADE).encode(), "fleet.main.nonsense.qe1", DeadReason.UNKNOWN_EVENT),
        (json.dumps(TRADE | {"note": "x" * 70_000}).encode(), SUBJECT, DeadReason.TOO_LARGE),
        (json.dumps(TRADE | {"ts": "2025-12-01T00:00:00Z"}).encode(), SUBJECT, DeadReason.BAD_TS),
        (json.dumps(TRADE | {"ts": "2026-03-03T00:00:00Z"}).encode(), SUBJECT, DeadReason.BAD_TS),
        (json.dumps(STATE).encode(), STATES, DeadReason.INVALID),
    ],
)
def test_a_bad_line_stands_in_events_and_becomes_a_letter_with_its_bytes(body: bytes, subject: str, reason: DeadReason) -> None:
    (line,) = judged(body, subject)
    assert tables(line) == ["events"]
    assert line.letter is not None
    assert (line.letter.reason, line.letter.origin, line.letter.subject) == (reason, "FLEET.12.0", subject)
    assert line.letter.body == body
    assert line.letter.detail


def test_good_neighbours_of_a_bad_line_keep_their_number() -> None:
    body = b"\n".join([json.dumps(TRADE).encode(), b"", b"nope", b"  ", json.dumps(TRADE | {"event_id": "t2"}).encode()])
    lines = judged(body)
    assert [line.place.line for line in lines] == [0, 2, 4]
    assert [line.letter is None for line in lines] == [True, False, True]
    assert [row.columns["line"] for line in lines for row in line.rows if row.table == "events"] == [0, 2, 4]


def test_a_leaders_message_with_its_header_is_good() -> None:
    (line,) = judged(STATE, STATES, leader="risk-gateway-1.7")
    assert tables(line) == ["events", "risk_state"]


def test_a_services_heartbeat_needs_no_header() -> None:
    (line,) = judged({"pid": 1, "seq": 2}, "fleet.fleet.heartbeat.risk-gateway")
    assert tables(line) == ["events", "heartbeats"]
    assert line.rows[1].columns["event_id"] == "hb-1-2"


def test_an_event_as_old_as_its_table_keeps_for_one_more_day_is_still_good() -> None:
    oldest = NOW - timedelta(days=89)
    (good,) = judged(TRADE | {"ts": oldest.isoformat()})
    (bad,) = judged(TRADE | {"ts": (oldest - timedelta(microseconds=1)).isoformat()})
    assert tables(good) == ["events", "trades"]
    assert bad.letter is not None


def test_a_heartbeat_is_too_old_after_thirteen_days() -> None:
    sent = {"pid": 1, "seq": 2, "ts": (NOW - timedelta(days=13, seconds=1)).isoformat()}
    (line,) = judged(sent, "fleet.main.heartbeat.qe1")
    assert line.letter is not None
    assert line.letter.reason == DeadReason.BAD_TS


def test_a_fleet_with_a_virtual_clock_keeps_what_is_years_old() -> None:
    (line,) = judged(TRADE | {"ts": "2022-01-05T00:00:00Z"}, calendar=Calendar(False, frozenset({"main"})))
    assert tables(line) == ["events", "trades"]


def test_only_an_account_with_a_virtual_clock_may_be_ahead() -> None:
    sent, calendar = TRADE | {"ts": "2027-01-05T00:00:00Z"}, Calendar(False, frozenset({"main"}))
    (virtual,) = judged(sent, calendar=calendar)
    (real,) = judged(sent, "fleet.other.trade.qe1", calendar=calendar)
    assert (virtual.letter is None, real.letter is None) == (True, False)


def test_no_fleet_can_keep_what_is_older_than_1970() -> None:
    (line,) = judged(TRADE | {"ts": "1969-12-31T23:59:59Z"}, calendar=Calendar(False, frozenset({"main"})))
    assert line.letter is not None


def test_rows_come_from_the_message_alone() -> None:
    message = StoredMessage("FLEET", 12, NOW, SUBJECT, json.dumps(TRADE).encode())
    early, late = (list(judge(message, Calendar(), NOW + timedelta(days=days))) for days in (0, 30))
    assert early == late
    assert early[0].rows[0].at_us == microseconds(NOW)


def test_an_address_that_is_none_is_a_bad_line_and_no_crash() -> None:
    (line,) = judged(TRADE, "fleet.main.trade.bad source")
    assert line.letter is not None
    assert line.letter.reason == DeadReason.UNKNOWN_EVENT
