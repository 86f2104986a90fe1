"""The loop: pull, commit, bury, acknowledge. An outage acknowledges nothing, pulls nothing, and ends by itself.

While one batch is being stored, the next is taken and judged; it is stored and acknowledged after it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from fleet_chassis.clock import Clock
from fleet_chassis.durable_pull import Delivered, DurablePull
from fleet_chassis.fold import leader_of
from fleet_chassis.log import Message
from fleet_chassis.questdb_writer import DiskFull, Outage, SchemaBehind
from fleet_chassis.worker_thread import Stalled
from fleet_ingest.conditions import Conditions
from fleet_ingest.core.lines import StoredMessage
from fleet_ingest.journal import Behind, Journal
from fleet_ingest.metrics import Counts, Lag
from fleet_ingest.settings import ENOUGH, LINGER_S, MESSAGES_MAX, RETRY_S_FIRST, RETRY_S_MAX

IDLE_S = 0.5
Batch = Sequence[tuple[DurablePull, Delivered]]


class Pump:
    """Owns the pulls. `mend` is called when the schema seems behind; `open` says whether writing is allowed now."""

    def __init__(
        self,
        pulls: Sequence[DurablePull],
        arrived: asyncio.Event,
        journal: Journal,
        *,
        conditions: Conditions,
        counts: Counts,
        clock: Clock,
        allowed: Callable[[], bool],
        mend: Callable[[], Awaitable[None]],
    ) -> None:
        self._pulls, self._arrived, self._journal = pulls, arrived, journal
        self._conditions, self._counts, self._clock = conditions, counts, clock
        self._allowed, self._mend = allowed, mend
        self._stuck = False

    async def run(self) -> None:
        """Until cancelled. What is in hand then comes again."""
        for pull in self._pulls:
            await pull.open()
            self._counts.lag[pull.stream] = Lag()
        storing: list[asyncio.Task[None]] = []
        try:
            while True:
                while len(storing) > 1 or (storing and storing[0].done()):
                    await storing[0]
                    del storing[0]
                if not self._allowed():
                    await asyncio.sleep(IDLE_S)
                    continue
                batch = await self._collect(asks=not storing)
                for pull in self._pulls:
                    self._conditions.put(pull.stream, pull.problem)
                if batch:
                    storing.append(asyncio.create_task(self._store(batch, storing[-1] if storing else None)))
        finally:
            for task in storing:
                task.cancel()
            await asyncio.gather(*storing, return_exceptions=True)

    async def _collect(self, *, asks: bool) -> Batch:
        """What has arrived, after waiting a little for more; nothing after `IDLE_S` without anything. `asks`: nothing is being
        stored; else more is asked for once that is done, and only what has been asked for already is taken.
        """
        if asks:
            self._ask()
        if not await self._until(lambda: self._held() > 0, IDLE_S):
            return ()
        await self._until(lambda: self._held() >= ENOUGH, LINGER_S)
        return [(pull, delivered) for pull in self._pulls for delivered in pull.take(MESSAGES_MAX)]

    def _ask(self) -> None:
        for pull in self._pulls:
            pull.ask()

    async def _store(self, batch: Batch, before: asyncio.Task[None] | None) -> None:
        """Until all of it is stored, and what came before it; then acknowledge it."""
        messages = [stored_message(pull.stream, delivered.message) for pull, delivered in batch]
        wait_s = RETRY_S_FIRST
        if before is None:
            self._behind(batch)
        stored = not self._stuck and await self._stored(messages)
        if before is not None:
            await before
            self._behind(batch)
            stored = stored or await self._stored(messages)
        while not stored:
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_S_MAX)
            self._behind(batch)
            stored = await self._stored(messages)
        self._acknowledge(batch)
        self._ask()

    def _acknowledge(self, batch: Batch) -> None:
        for pull, delivered in batch:
            pull.ack(delivered)
        self._counts.messages += len(batch)
        for pull in self._pulls:
            pending = [delivered.pending for owner, delivered in batch if owner is pull]
            if pending:
                self._counts.lag[pull.stream] = Lag(pending[-1])

    async def _stored(self, messages: Sequence[StoredMessage]) -> bool:
        """Whether they are now. If not, nothing that came later is tried before they are."""
        if not self._allowed():
            self._stuck = True
            return False
        try:
            await self._journal.store(messages)
        except Behind:
            return False
        except (Outage, Stalled) as error:
            self._stuck = True
            self._counts.outages += 1
            self._counts.stalls += isinstance(error, Stalled)
            full = isinstance(error, DiskFull)
            self._conditions.begin("QuestDB", f"QuestDB {'is full' if full else 'takes nothing'}: {error}; the backlog waits")
            if isinstance(error, SchemaBehind):
                await self._mend()
            return False
        self._stuck = False
        self._conditions.end("QuestDB")
        return True

    async def _until(self, enough: Callable[[], bool], wait_s: float) -> bool:
        """Wait for messages until there are enough; False when there are not in time."""
        try:
            async with asyncio.timeout(wait_s):
                while not enough():
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return False
        return True

    def _held(self) -> int:
        return sum(pull.held for pull in self._pulls)

    def _behind(self, batch: Batch) -> None:
        """Note how far behind we are, from the oldest message in hand."""
        for pull in self._pulls:
            mine = [delivered for owner, delivered in batch if owner is pull]
            if mine:
                age = (self._clock() - min(delivered.message.at for delivered in mine)).total_seconds()
                self._counts.lag[pull.stream] = Lag(mine[-1].pending + len(mine) + pull.held, max(0.0, age))


def stored_message(stream: str, message: Message) -> StoredMessage:
    """A message of the log as the core takes it."""
    return StoredMessage(stream, message.seq, message.at, message.subject, message.body, leader_of(message))
