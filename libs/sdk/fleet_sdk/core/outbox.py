"""The order in which events leave, and what a PubAck means. One event is in flight; the next leaves after its PubAck.

`Nats-Msg-Id` is one name space for all senders of a stream: `duplicate: true` means "this id is known", not "your event is
stored". It is success only for an event that may have been stored by an earlier send of ours.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

from pydantic_core import from_json

from fleet_sdk.core.spool_lines import Record


@dataclass(frozen=True, slots=True)
class PubAck:
    """JetStream's answer to an append: the message's sequence, or an error (then it was certainly not stored)."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: str | None = None


class Outcome(Enum):
    """What an answer means for the event in flight."""

    STORED = "stored"
    REFUSED = "refused"
    """Not stored; send again later."""
    FOREIGN_ID = "foreign id"
    """Not stored: another sender has used the Msg-Id; send again at once, without one."""


@dataclass(slots=True, eq=False)
class Item:
    """An event and what is known of its way. `maybe_sent`: an earlier process may have sent it."""

    record: Record
    maybe_sent: bool
    sends: int = 0
    floor: int = 0
    """The last sequence we knew at the first send; what is stored at or below it is older than this event."""
    without_id: bool = False


def read_ack(body: bytes) -> PubAck | None:
    """A PubAck's body; None when it is none."""
    try:
        fields = from_json(body)
        error = fields.get("error")
        if error is not None:
            return PubAck(error=f"{error.get('err_code', error.get('code'))} {error.get('description', '')}".strip())
        return PubAck(str(fields["stream"]), int(fields["seq"]), bool(fields.get("duplicate", False)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class Outbox:
    """Events in the order they were recorded. Single owner; `source` is the bot's id."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._items: deque[Item] = deque()
        self.last_seq = 0
        """The newest sequence of FLEET that a PubAck has told us (read your writes)."""

    def __len__(self) -> int:
        return len(self._items)

    def append(self, record: Record, *, maybe_sent: bool = False) -> None:
        """Queue an event behind all others."""
        self._items.append(Item(record, maybe_sent))

    @property
    def head(self) -> Item | None:
        """The event to send now."""
        return self._items[0] if self._items else None

    def sending(self) -> tuple[Record, dict[str, str]]:
        """The head and its headers; counts as a send. There must be a head."""
        item = self._items[0]
        if item.sends == 0:
            item.floor = self.last_seq
        item.sends += 1
        headers = {} if item.without_id else {"Nats-Msg-Id": f"{self._source}:{item.record.event_id}"}
        return item.record, headers

    def answered(self, ack: PubAck) -> Outcome:
        """What the answer to the head means; when stored, the head leaves the queue."""
        item = self._items[0]
        if ack.error is not None:
            return Outcome.REFUSED
        if ack.duplicate and self._foreign(item, ack):
            item.without_id = True
            return Outcome.FOREIGN_ID
        self._items.popleft()
        if ack.stream == "FLEET":
            self.last_seq = max(self.last_seq, ack.seq)
        return Outcome.STORED

    def _foreign(self, item: Item, ack: PubAck) -> bool:
        """A duplicate of what we cannot have stored: on a first send, or stored before the first send."""
        if item.without_id:
            return False
        return (item.sends == 1 and not item.maybe_sent) or ack.seq <= item.floor
