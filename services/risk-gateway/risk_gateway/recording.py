"""Storing what people ask: how a fact gets into the log within a bound, and what it means when nobody says so."""

import asyncio
from collections.abc import Callable

from fleet_chassis.pipeline import Pipeline
from fleet_contracts import Fact, Reason
from risk_gateway.commands import NotRecorded, Record, Unknown

RECORD_TIMEOUT_S = 2.0
FOLD_LOOK_S = 0.1


class Recording:
    """Stores facts of one account, one after the other as they are asked for."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def record(self, fact: Fact) -> Reason | None:
        """Store a fact; the reason when it was not."""
        record = Record(asyncio.get_running_loop().time() + RECORD_TIMEOUT_S)
        refusal = self._pipeline.put(fact, record)
        if refusal is not None:
            return refusal
        try:
            async with asyncio.timeout(RECORD_TIMEOUT_S * 2):
                return await record.done
        except TimeoutError:
            return Reason.JOURNAL_UNAVAILABLE

    async def took_effect(self, fact: Fact) -> None:
        """Store the fact that does what a command asked. Raises `NotRecorded` when it was not taken, `Unknown` when its fate is
        open: it may be stored all the same.
        """
        refusal = self._pipeline.refusal()
        if refusal is not None:
            raise NotRecorded(refusal)
        if await self.record(fact) is not None:
            raise Unknown

    async def must(self, fact: Fact) -> None:
        """Store a fact. Raises `NotRecorded`."""
        reason = await self.record(fact)
        if reason is not None:
            raise NotRecorded(reason)

    async def folded(self, done: Callable[[], bool]) -> None:
        """Until the fold has brought something about. Raises `NotRecorded` when that takes too long."""
        clock = asyncio.get_running_loop().time
        until = clock() + 2 * RECORD_TIMEOUT_S
        while not done():
            if clock() >= until:
                raise NotRecorded(Reason.JOURNAL_UNAVAILABLE)
            await self._pipeline.fold.reach(self._pipeline.fold.seq + 1, FOLD_LOOK_S)
