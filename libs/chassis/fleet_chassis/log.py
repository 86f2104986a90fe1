"""The log as a service sees it: one ordered stream of messages, fenced appends, reads from a sequence.

`MemoryLog` (memory_log.py) and `JetStreamLog` (jetstream.py) both keep this contract; one conformance suite holds them
to it. Nothing here knows what a message means.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Message:
    """One stored message. `at` is the stream's timestamp (UTC), `seq` its sequence, from 1."""

    subject: str
    seq: int
    at: datetime
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)


@dataclass(frozen=True, slots=True)
class Fence:
    """Store only while `last_seq` is the sequence of the last message matching `subjects` (0: there is none yet)."""

    subjects: str
    last_seq: int


@dataclass(frozen=True, slots=True)
class Stored:
    """PubAck with the message's sequence. `duplicate`: the Nats-Msg-Id was known; *this* body was not stored."""

    seq: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class WrongLast:
    """Error 10071: somebody, perhaps an earlier send of ours, has written under the fence."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Any other error answer: certainly not stored (`code` as JetStream gives it, e.g. 10077 full)."""

    code: int
    description: str


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No answer in time, or no responder: stored or not, nobody knows."""


Outcome = Stored | WrongLast | Refused | NoAnswer


class LogUnavailable(Exception):
    """A read got no answer in time. Retry later; nothing was learnt."""


class Log(Protocol):
    """One stream. Every wait is bounded by `timeout_s`; reads raise `LogUnavailable`, appends answer `NoAnswer`."""

    async def append(
        self,
        subject: str,
        body: bytes,
        *,
        fence: Fence | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout_s: float,
    ) -> Outcome:
        """Send once, wait for the answer."""
        ...

    async def last(self, subjects: str, *, timeout_s: float) -> Message | None:
        """The newest message whose subject matches, read from the stream's leader (never a stale replica)."""
        ...

    async def get(self, seq: int, *, timeout_s: float) -> Message | None:
        """The message at a sequence; None when the stream has none there."""
        ...

    def read(self, start_seq: int, subjects: Sequence[str]) -> AsyncIterator[list[Message]]:
        """All messages from `start_seq` that match one of the patterns, in order, in batches, for ever.

        Yields an empty batch about once a second when idle. Survives lost connections and lost consumers by itself:
        never a gap, never a repeat. Ends only by cancellation.
        """
        ...
