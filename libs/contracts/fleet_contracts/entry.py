"""What a fold reads and what a leader writes: one line of the log with its place, one fact on its way into it."""

from dataclasses import dataclass
from datetime import datetime

from fleet_contracts.envelope import Event
from fleet_contracts.subjects import Address


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored line. `at` is the stream's timestamp of its message (aware UTC); `line` counts from 0 within it.

    `leader` is the message's well-formed `Fleet-Leader` header (`<instance>.<lease revision>`), None on messages of others.
    """

    address: Address
    event: Event
    raw: bytes
    seq: int
    line: int
    at: datetime
    leader: str | None = None


@dataclass(slots=True, eq=False)
class Fact:
    """One event a leader wants stored. `line` is its encoded form, the very bytes that go to the log; `key` its event_id."""

    event: Event
    line: bytes
    key: str
