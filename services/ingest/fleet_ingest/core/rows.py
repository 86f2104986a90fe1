"""Events as rows: one for `events`, one for the typed table. Values are those of the message, never of the clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType

from fleet_contracts import Event
from fleet_ingest.core.tables import EVENTS_TABLE, META, NUL, TYPED, Table, Value, as_json, shown

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
BODY_BYTES_MAX = 65_536
"""What `events` keeps of a line; only a bad one is longer."""


@dataclass(slots=True)
class Row:
    """A row of `table`; `at_us` is its designated timestamp in microseconds since 1970 (UTC). Columns not named are NULL."""

    table: str
    columns: dict[str, Value]
    at_us: int


@dataclass(slots=True)
class Place:
    """Where a line stands: its message in a stream, its number in the message (empty lines count), and since when."""

    stream: str
    seq: int
    line: int
    subject: str
    at: datetime


@dataclass(slots=True)
class Envelope:
    """Who said what, as far as it is known of the line (a bad one may not say)."""

    event_type: str
    event_id: str
    account: str
    source: str


def microseconds(moment: datetime) -> int:
    """Since 1970 UTC, exactly."""
    return (moment - EPOCH) // _MICROSECOND


_stored_us = lru_cache(64)(microseconds)
"""Lines of one message have one time."""


def events_row(place: Place, envelope: Envelope | Event, raw: bytes) -> Row:
    """The row of a stored line as it came, at the stream's time; a bad line's text is cut and mended, `DEAD` has its bytes."""
    event_id = envelope.event_id
    assert event_id is not None
    return Row(
        EVENTS_TABLE.name,
        {
            "stream": place.stream,
            "seq": place.seq,
            "line": place.line,
            "subject": place.subject,
            "event_type": envelope.event_type,
            "event_id": event_id,
            "account": envelope.account,
            "source": envelope.source,
            "body": shown(raw[:BODY_BYTES_MAX].decode("utf-8", "replace")),
        },
        _stored_us(place.at),
    )


class _Plan:
    """The columns of a table by what is to be done with a value, sorted once."""

    __slots__ = ("others", "plain", "texts")

    def __init__(self, table: Table) -> None:
        columns = table.columns[:-1]
        self.plain = [(column.field, column.name) for column in columns if column.convert is None]
        self.texts = [(column.field, column.name) for column in columns if column.convert is shown]
        self.others = [(column.field, column.name, column.convert) for column in columns if column.convert not in (None, shown)]


_PLANS: Mapping[str, _Plan] = MappingProxyType({table.name: _Plan(table) for table in TYPED.values()})


def typed_row(event: Event, table: Table) -> Row:
    """The row of a good event, at its own time. `event` has `ts` and `event_id` (parsed with its provenance)."""
    assert event.ts is not None
    plan = _PLANS[table.name]
    fields = event.__dict__
    columns: dict[str, Value] = {}
    for field, name in plan.plain:
        value = fields[field]
        if value is not None:
            columns[name] = value
    for field, name in plan.texts:
        value = fields[field]
        if value is not None:
            columns[name] = value if NUL not in value else shown(value)
    for field, name, convert in plan.others:
        value = fields[field]
        if value is not None:
            columns[name] = convert(value)
    unknown = event.__pydantic_extra__
    if unknown:
        columns[META] = as_json(unknown)
    return Row(table.name, columns, microseconds(event.ts))
