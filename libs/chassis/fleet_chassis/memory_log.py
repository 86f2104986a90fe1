"""The log in memory: the reference the JetStream log is compared with, and what simulations run on.

Faults (lost acks, refusals, delays) are not here: a test wraps this log to inject them.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from fleet_chassis.clock import Clock, wall_clock
from fleet_chassis.log import NO_HEADERS, Fence, Message, Outcome, Refused, Stored, WrongLast

FULL = 10077
"""JetStream's code for `maximum bytes exceeded` under `discard: new`."""


def matches(pattern: str, subject: str) -> bool:
    """NATS wildcards: `*` stands for one token, a last `>` for one or more."""
    wanted, tokens = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        if len(tokens) <= len(wanted):
            return False
        tokens = tokens[: len(wanted)]
    return len(wanted) == len(tokens) and all(w in ("*", t) for w, t in zip(wanted, tokens, strict=True))


class MemoryLog:
    """One stream in memory. `bytes_max` bounds the bodies it takes; an idle read yields nothing each `idle_s`."""

    def __init__(self, clock: Clock = wall_clock, *, bytes_max: int | None = None, idle_s: float = 1.0) -> None:
        self.messages: list[Message] = []
        self.bytes_max = bytes_max
        self._clock = clock
        self._idle_s = idle_s
        self._bytes = 0
        self._ids: dict[str, int] = {}
        self._newest: dict[str, int] = {}
        self._grown = asyncio.Event()

    async def append(
        self,
        subject: str,
        body: bytes,
        *,
        fence: Fence | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout_s: float,
    ) -> Outcome:
        """Store at once, or say why not; `timeout_s` is never reached here."""
        return self.store(subject, body, fence=fence, headers=headers)

    def store(
        self, subject: str, body: bytes, *, fence: Fence | None = None, headers: Mapping[str, str] = NO_HEADERS
    ) -> Outcome:
        """What the server does with an append: duplicate, fence, room, store, in the order of one nats-server."""
        msg_id = headers.get("Nats-Msg-Id")
        if msg_id is not None and msg_id in self._ids:
            return Stored(self._ids[msg_id], duplicate=True)
        if fence is not None and self._last_seq(fence.subjects) != fence.last_seq:
            return WrongLast()
        if self.bytes_max is not None and self._bytes + len(body) > self.bytes_max:
            return Refused(FULL, "maximum bytes exceeded")
        seq = len(self.messages) + 1
        self.messages.append(Message(subject, seq, self._clock(), body, dict(headers)))
        self._bytes += len(body)
        self._newest[subject] = seq
        if msg_id is not None:
            self._ids[msg_id] = seq
        self._grown.set()
        self._grown = asyncio.Event()
        return Stored(seq)

    async def last(self, subjects: str, *, timeout_s: float) -> Message | None:
        """The newest message matching the pattern."""
        seq = self._last_seq(subjects)
        return self.messages[seq - 1] if seq else None

    async def get(self, seq: int, *, timeout_s: float) -> Message | None:
        """The message at a sequence."""
        return self.messages[seq - 1] if 1 <= seq <= len(self.messages) else None

    async def read(self, start_seq: int, subjects: Sequence[str]) -> AsyncIterator[list[Message]]:
        """Batches of at most 256 messages, in order, for ever."""
        at = max(start_seq, 1)
        while True:
            grown = self._grown
            found: list[Message] = []
            while at <= len(self.messages) and len(found) < 256:
                message = self.messages[at - 1]
                at += 1
                if any(matches(pattern, message.subject) for pattern in subjects):
                    found.append(message)
            if not found:
                try:
                    async with asyncio.timeout(self._idle_s):
                        await grown.wait()
                except TimeoutError:
                    yield []
                continue
            yield found

    def _last_seq(self, pattern: str) -> int:
        return max((seq for subject, seq in self._newest.items() if matches(pattern, subject)), default=0)
