"""The spool's lines: one event each, with the very bytes that go to the bus, or a mark of what has arrived there.

    {"n":7,"crc":3735928559,"subject":"fleet.main.trade.qe1","id":"qe1-…-7","event":{…}}
    {"acked":7}

A segment is read as a whole. Its end may be torn (the process died while writing it); that line was never promised.
"""

import zlib
from dataclasses import dataclass, field

from pydantic_core import from_json, to_json

_EVENT = b',"event":'


@dataclass(frozen=True, slots=True)
class Record:
    """One event on its way. `n` counts the events of a spool from 1; `body` is one JSON line without its newline."""

    n: int
    subject: str
    event_id: str
    body: bytes


@dataclass(slots=True)
class Segment:
    """What a segment holds. `damaged`: lines that are none of ours, or whose checksum is wrong; `torn`: an unfinished end."""

    records: list[Record] = field(default_factory=list)
    acked: int = 0
    damaged: list[bytes] = field(default_factory=list)
    torn: bool = False


def record_line(record: Record) -> bytes:
    """A record as a line with its newline."""
    head = {"n": record.n, "crc": zlib.crc32(record.body), "subject": record.subject, "id": record.event_id}
    return to_json(head)[:-1] + _EVENT + record.body + b"}\n"


def mark_line(acked: int) -> bytes:
    """The mark that everything up to `acked` has its PubAck."""
    return b'{"acked":%d}\n' % acked


def read_segment(data: bytes) -> Segment:
    """Take a segment apart. Never raises: what cannot be read is in `damaged`."""
    segment = Segment()
    *lines, tail = data.split(b"\n")
    segment.torn = bool(tail)
    for line in lines:
        read = _read(line)
        match read:
            case Record():
                segment.records.append(read)
            case int():
                segment.acked = max(segment.acked, read)
            case None:
                segment.damaged.append(line)
    return segment


def _read(line: bytes) -> Record | int | None:
    head, found, event = line.partition(_EVENT)
    try:
        fields = from_json(head + b"}" if found else head)
        if not found:
            acked = fields["acked"]
            return acked if isinstance(acked, int) else None
        record = Record(int(fields["n"]), str(fields["subject"]), str(fields["id"]), event[:-1])
        return record if event.endswith(b"}") and fields["crc"] == zlib.crc32(record.body) else None
    except (ValueError, KeyError, TypeError):
        return None
