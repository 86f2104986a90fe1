"""A stored message, line by line: what to write of it, and which lines are letters for DEAD. Pure; `now` is handed in."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from fleet_contracts import (
    BY_TOKEN,
    SERVICES,
    Address,
    BadLine,
    DeadReason,
    Event,
    Line,
    Provenance,
    Stream,
    SubjectError,
    parse,
    split_subject,
)
from fleet_contracts.parse import Read
from fleet_ingest.core.rows import EPOCH, Envelope, Place, Row, events_row, typed_row
from fleet_ingest.core.tables import TYPED, Table

FENCED = frozenset(SERVICES) - {"ingest", "bot-runner", "dashboard", "notifier"}
"""Services that write FLEET events through a fence: their messages carry a `Fleet-Leader` header, or count for nothing."""
AHEAD_MAX = timedelta(days=1)
MARGIN = timedelta(days=1)
"""A row is written only if it will live at least this long."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message of a journaled stream. `leader`: its well-formed `Fleet-Leader` header, if any."""

    stream: str
    seq: int
    at: datetime
    subject: str
    body: bytes
    leader: str | None = None


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which event times can be kept. Accounts with `clock: event` live in a time of their own.

    A fleet with such an account has no TTL (`expires` False): QuestDB drops old rows without a word.
    """

    expires: bool = True
    event_clock: frozenset[str] = field(default_factory=frozenset)

    def objection(self, event: Event, table: Table, now: datetime) -> str | None:
        """Why the event's `ts` cannot be a row's, None when it can."""
        assert event.ts is not None
        oldest = max(EPOCH, now - timedelta(days=table.keep_days) + MARGIN) if self.expires else EPOCH
        if event.ts < oldest:
            return f"ts {event.ts.isoformat()} is older than {table.name} keeps ({oldest.isoformat()})"
        if event.ts > now + AHEAD_MAX and event.account not in self.event_clock:
            return f"ts {event.ts.isoformat()} is more than a day ahead"
        return None


@dataclass(frozen=True, slots=True)
class Letter:
    """A bad line on its way to DEAD: `body` holds its bytes as they came."""

    origin: str
    reason: DeadReason
    detail: str
    subject: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Judged:
    """A line: its rows (the first is that of `events`), and its letter when it is bad."""

    place: Place
    raw: bytes
    rows: tuple[Row, ...]
    letter: Letter | None = None

    def refused(self, detail: str) -> Letter:
        """The letter of a line of which the database does not take a row."""
        return _letter(self.place, self.raw, DeadReason.REFUSED_BY_DATABASE, detail)


def judge(message: StoredMessage, calendar: Calendar, now: datetime, read: Read | None = None) -> Iterator[Judged]:
    """Every line of the message, in order; empty lines are left out. Never raises on what a message holds. `read`: a quicker
    reader of usual lines.
    """
    parsed = parse(message.subject, message.body, Provenance(message.stream, message.seq, message.at), read)
    lines: list[Line | BadLine] = sorted(chain(parsed.lines, parsed.bad), key=lambda line: line.index)
    leaderless = message.leader is None and _fenced(message)
    for line in lines:
        place = Place(message.stream, message.seq, line.index, message.subject, message.at)
        if isinstance(line, BadLine):
            yield _bad(place, line.raw, line.reason, line.detail)
        elif leaderless:
            yield _bad(place, line.raw, DeadReason.INVALID, "written under a leader's fence without a Fleet-Leader header")
        else:
            yield _good(place, line, calendar, now)


def origin(place: Place) -> str:
    """`<stream>.<seq>.<line>`, as the header Fleet-Origin says it."""
    return f"{place.stream}.{place.seq}.{place.line}"


def _good(place: Place, line: Line, calendar: Calendar, now: datetime) -> Judged:
    event = line.event
    assert event.event_id is not None
    row = events_row(place, Envelope(event.event_type, event.event_id, event.account, event.source), line.raw)
    table = TYPED.get(event.event_type)
    if table is None:
        return Judged(place, line.raw, (row,))
    objection = calendar.objection(event, table, now)
    if objection is not None:
        return Judged(place, line.raw, (row,), _letter(place, line.raw, DeadReason.BAD_TS, objection))
    return Judged(place, line.raw, (row, typed_row(event, table)))


def _bad(place: Place, raw: bytes, reason: DeadReason, detail: str) -> Judged:
    return Judged(place, raw, (events_row(place, _envelope(place), raw),), _letter(place, raw, reason, detail))


def _letter(place: Place, raw: bytes, reason: DeadReason, detail: str) -> Letter:
    return Letter(origin(place), reason, detail, place.subject, raw)


def _envelope(place: Place) -> Envelope:
    """What the place says of a line that cannot speak for itself."""
    event_id = f"{place.stream}-{place.seq}-{place.line}"
    try:
        address = split_subject(place.subject)
    except SubjectError:
        return Envelope("", event_id, "", "")
    spec = BY_TOKEN.get(address.event)
    return Envelope(spec.type if spec else address.event.upper(), event_id, address.account, address.source)


def _fenced(message: StoredMessage) -> bool:
    address = _address(message.subject)
    return message.stream == Stream.FLEET and address is not None and address.source in FENCED


def _address(subject: str) -> Address | None:
    try:
        return split_subject(subject)
    except SubjectError:
        return None
