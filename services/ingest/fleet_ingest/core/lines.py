"""A stored message, line by line: what to write of it, and which lines are letters for DEAD. Pure; `now` is handed in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fleet_contracts import (
    BY_TOKEN,
    SERVICES,
    Address,
    BadLine,
    DeadReason,
    Line,
    Provenance,
    Stream,
    SubjectError,
    parse,
    split_subject,
)
from fleet_contracts.parse import Parsed, Read
from fleet_ingest.core.rows import EPOCH, Envelope, Place, Row, events_row, typed_row
from fleet_ingest.core.tables import TYPED, Table

FENCED = frozenset(SERVICES) - {"ingest", "bot-runner", "dashboard", "notifier"}
"""Services that write FLEET events through a fence: their messages carry a `Fleet-Leader` header, or count for nothing."""
AHEAD_MAX = timedelta(days=1)
MARGIN = timedelta(days=1)
"""A row is written only if it will live at least this long."""
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
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

    def keeps(self, table: Table, account: str, now: datetime) -> "Kept":
        """What can be a row of the table now, of an account's events."""
        oldest = max(EPOCH, now - timedelta(days=table.keep_days) + MARGIN) if self.expires else EPOCH
        return Kept(table, oldest, _NEVER if account in self.event_clock else now + AHEAD_MAX)


@dataclass(slots=True)
class Kept:
    """The table of an event, and from when to when the event's `ts` can be a row's there."""

    table: Table
    oldest: datetime
    newest: datetime

    def objection(self, ts: datetime) -> str | None:
        """Why a `ts` cannot be kept, None when it can."""
        if ts < self.oldest:
            return f"ts {ts.isoformat()} is older than {self.table.name} keeps ({self.oldest.isoformat()})"
        if ts > self.newest:
            return f"ts {ts.isoformat()} is more than a day ahead"
        return None


@dataclass(frozen=True, slots=True)
class Letter:
    """A bad line on its way to DEAD: `body` holds its bytes as they came."""

    origin: str
    reason: DeadReason
    detail: str
    subject: str
    body: bytes


@dataclass(slots=True)
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
    leaderless = message.leader is None and _fenced(message)
    kept = _kept(parsed, calendar, now)
    for line in _in_order(parsed):
        place = Place(message.stream, message.seq, line.index, message.subject, message.at)
        if isinstance(line, BadLine):
            yield _bad(place, line.raw, line.reason, line.detail)
        elif leaderless:
            yield _bad(place, line.raw, DeadReason.INVALID, "written under a leader's fence without a Fleet-Leader header")
        else:
            yield _good(place, line, kept)


def origin(place: Place) -> str:
    """`<stream>.<seq>.<line>`, as the header Fleet-Origin says it."""
    return f"{place.stream}.{place.seq}.{place.line}"


def _kept(parsed: Parsed, calendar: Calendar, now: datetime) -> Kept | None:
    """Where the good lines of a message are kept beside `events`, if anywhere: they are of one type and one account."""
    if not parsed.lines:
        return None
    event = parsed.lines[0].event
    table = TYPED.get(event.event_type)
    return calendar.keeps(table, event.account, now) if table is not None else None


def _in_order(parsed: Parsed) -> Sequence[Line | BadLine]:
    if not parsed.bad:
        return parsed.lines
    return sorted((*parsed.lines, *parsed.bad), key=lambda line: line.index)


def _good(place: Place, line: Line, kept: Kept | None) -> Judged:
    event, raw = line.event, line.raw
    row = events_row(place, event, raw)
    if kept is None:
        return Judged(place, raw, (row,))
    assert event.ts is not None
    objection = kept.objection(event.ts)
    if objection is not None:
        return Judged(place, raw, (row,), _letter(place, raw, DeadReason.BAD_TS, objection))
    return Judged(place, raw, (row, typed_row(event, kept.table)))


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
