"""What a fold reads and what a leader writes: one line of the log with its place, one fact on its way into it."""

from dataclasses import dataclass
from datetime import datetime

from fleet_contracts.envelope import Event
from fleet_contracts.registry import REGISTRY
from fleet_contracts.subjects import Address


class Fact:
    """One event a leader wants stored. `line` is its encoded form, the very bytes that go to the log; `key` its event_id.

    A fact may come with what its maker knows of it (`told`) instead of the event; the event is then read from the line
    when somebody asks for it.
    """

    __slots__ = ("_event", "event_type", "key", "line", "told")

    def __init__(self, event: Event | None, line: bytes, key: str, *, event_type: str = "", told: object = None) -> None:
        self.line, self.key, self.told = line, key, told
        self.event_type = event_type or (event.event_type if event is not None else "")
        self._event = event

    @property
    def event(self) -> Event:
        if self._event is None:
            self._event = REGISTRY[self.event_type].model.model_validate_json(self.line)
        return self._event


@dataclass(slots=True, eq=False)
class Entry:
    """One stored line. `at` is the stream's timestamp of its message (aware UTC); `line` counts from 0 within it.

    `leader` is the message's well-formed `Fleet-Leader` header (`<instance>.<lease revision>`), None on messages of others.
    `what`: its event, or the fact this process has made of these very bytes.
    """

    address: Address
    what: Event | Fact
    raw: bytes
    seq: int
    line: int
    at: datetime
    leader: str | None = None

    @property
    def event(self) -> Event:
        what = self.what
        return what.event if type(what) is Fact else what  # type: ignore[return-value]

    @property
    def event_id(self) -> str | None:
        what = self.what
        return what.key if type(what) is Fact else what.event_id  # type: ignore[union-attr]
