"""A log with a bad network in front of it: what one instance sees of a shared `MemoryLog`, seeded.

An append may be lost on its way, lose its answer, arrive long after its sender gave up, be refused, or just take time.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fleet_chassis.log import (
    NO_HEADERS,
    Fence,
    LogUnavailable,
    Message,
    NoAnswer,
    Outcome,
    Refused,
)
from fleet_chassis.memory_log import MemoryLog


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities per append (0..1), and the longest one-way delay in seconds."""

    lost_request: float = 0.0
    lost_ack: float = 0.0
    late: float = 0.0
    refused: float = 0.0
    delay_s_max: float = 0.0


class FaultyLog:
    """One instance's connection. `cut()` is a network partition (or the end of the process); `mend()` ends it."""

    def __init__(self, server: MemoryLog, rng: random.Random, faults: Faults) -> None:
        self._server, self._rng, self._faults = server, rng, faults
        self._reachable = asyncio.Event()
        self._reachable.set()

    def cut(self) -> None:
        self._reachable.clear()

    def mend(self) -> None:
        self._reachable.set()

    async def append(
        self,
        subject: str,
        body: bytes,
        *,
        fence: Fence | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout_s: float,
    ) -> Outcome:
        await self._travel()
        match self._fate():
            case "lost request":
                pass
            case "lost ack":
                self._server.store(subject, body, fence=fence, headers=headers)
            case "late":
                asyncio.get_running_loop().call_later(
                    self._rng.uniform(0, 5),
                    partial(self._server.store, subject, body, fence=fence, headers=headers),
                )
            case "refused":
                announce = getattr(self._server, "announce", None)
                if announce is not None:
                    announce(subject, body)
                return Refused(10077, "maximum bytes exceeded")
            case _:
                outcome = self._server.store(subject, body, fence=fence, headers=headers)
                await self._travel()
                return outcome
        await asyncio.sleep(timeout_s)
        return NoAnswer()

    async def last(self, subjects: str, *, timeout_s: float) -> Message | None:
        await self._ask(timeout_s)
        return await self._server.last(subjects, timeout_s=timeout_s)

    async def get(self, seq: int, *, timeout_s: float) -> Message | None:
        await self._ask(timeout_s)
        return await self._server.get(seq, timeout_s=timeout_s)

    async def read(self, start_seq: int, subjects: Sequence[str]) -> AsyncIterator[list[Message]]:
        async for batch in self._server.read(start_seq, subjects):
            await self._travel()
            await self._reachable.wait()
            cut_at = self._rng.randint(0, len(batch))
            for part in (batch[:cut_at], batch[cut_at:]):
                if part or not batch:
                    yield part

    async def _ask(self, timeout_s: float) -> None:
        await self._travel()
        if not self._reachable.is_set():
            await asyncio.sleep(timeout_s)
            raise LogUnavailable("no answer")

    async def _travel(self) -> None:
        await asyncio.sleep(self._rng.uniform(0, self._faults.delay_s_max))

    def _fate(self) -> str:
        if not self._reachable.is_set():
            return "lost request"
        roll = self._rng.random()
        faults = self._faults
        for name, share in (
            ("lost request", faults.lost_request),
            ("lost ack", faults.lost_ack),
            ("late", faults.late),
            ("refused", faults.refused),
        ):
            if roll < share:
                return name
            roll -= share
        return "fine"
