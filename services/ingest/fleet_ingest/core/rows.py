"""Events as rows: one for `events`, one for the typed table. Values are those of the message, never of the clock."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fleet_contracts import Event
from fleet_ingest.core.tables import EVENTS_TABLE, META, Table, Value, as_json, shown

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
BODY_BYTES_MAX = 65_536
"""What `events` keeps of a line; only a bad one is longer."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `table`; `at_us` is its designated timestamp in microseconds since 1970 (UTC). Columns not named are NULL."""

    table: str
    columns: dict[str, Value]
    at_us: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands: its message in a stream, its number in the message (empty lines count), and since when."""

    stream: str
    seq: int
    line: int
    subject: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who said what, as far as it is known of the line (a bad one may not say)."""

    event_type: str
    event_id: str
    account: str
    source: str


def microseconds(moment: datetime) -> int:
    """Since 1970 UTC, exactly."""
    return (moment - EPOCH) // _MICROSECOND


def events_row(place: Place, envelope: Envelope, raw: bytes) -> Row:
    """The row of a stored line as it came, at the stream's time; a bad line's text is cut and mended, `DEAD` has its bytes."""
    return Row(
        EVENTS_TABLE.name,
        {
            "stream": place.stream,
            "seq": place.seq,
            "line": place.line,
            "subject": place.subject,
            "event_type": envelope.event_type,
            "event_id": envelope.event_id,
            "account": envelope.account,
            "source": envelope.source,
            "body": shown(raw[:BODY_BYTES_MAX].decode("utf-8", "replace")),
        },
        microseconds(place.at),
    )


def typed_row(event: Event, table: Table) -> Row:
    """The row of a good event, at its own time. `event` has `ts` and `event_id` (parsed with its provenance)."""
    assert event.ts is not None
    columns: dict[str, Value] = {}
    fields = event.__dict__
    for column in table.columns[:-1]:
        value = fields[column.field]
        if value is not None:
            columns[column.name] = value if column.convert is None else column.convert(value)
    if event.model_extra:
        columns[META] = as_json(event.model_extra)
    return Row(table.name, columns, microseconds(event.ts))
