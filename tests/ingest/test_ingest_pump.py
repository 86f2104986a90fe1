"""The loop with its surroundings taken away piece by piece: what is acknowledged, and when."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from fleet_chassis.durable_pull import Delivered
from fleet_chassis.log import Message
from fleet_chassis.questdb_writer import DiskFull, Outage, SchemaBehind
from fleet_chassis.worker_thread import Stalled
from fleet_ingest import pump as pump_module
from fleet_ingest.conditions import Conditions
from fleet_ingest.core.lines import StoredMessage
from fleet_ingest.journal import Behind
from fleet_ingest.metrics import Counts
from fleet_ingest.pump import Pump

NOW = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


class FakePull:
    """Messages at once, acknowledgements remembered."""

    def __init__(self, stream: str, count: int, arrived: asyncio.Event) -> None:
        self.stream, self.problem = stream, None
        self.waiting = [
            Delivered(Message("fleet.main.trade.qe1", seq, NOW - timedelta(seconds=9), b"{}"), f"t{seq}", count - seq)
            for seq in range(1, count + 1)
        ]
        self.acknowledged: list[int] = []
        self.asked = 0
        arrived.set()

    @property
    def held(self) -> int:
        return len(self.waiting)

    async def open(self) -> None: ...

    def ask(self) -> None:
        self.asked += 1

    def take(self, messages_max: int) -> list[Delivered]:
        taken, self.waiting = self.waiting[:messages_max], self.waiting[messages_max:]
        return taken

    def ack(self, delivered: Delivered) -> None:
        self.acknowledged.append(delivered.message.seq)


class FakeJournal:
    """Fails as often as it is told to, then stores."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.stored: list[int] = []
        self.tried = 0

    async def store(self, messages: Sequence[StoredMessage]) -> None:
        self.tried += 1
        if self.failures:
            raise self.failures.pop(0)
        self.stored += [message.seq for message in messages]


class World:
    def __init__(self, *failures: Exception, count: int = 3) -> None:
        self.arrived = asyncio.Event()
        self.pulls = [FakePull("FLEET", count, self.arrived), FakePull("HEARTBEAT", 0, self.arrived)]
        self.fleet = self.pulls[0]
        self.journal = FakeJournal(*failures)
        self.conditions, self.counts = Conditions(), Counts()
        self.allowed = True
        self.mended = 0
        self.pump = Pump(
            self.pulls,  # type: ignore[arg-type]
            self.arrived,
            self.journal,  # type: ignore[arg-type]
            conditions=self.conditions,
            counts=self.counts,
            clock=lambda: NOW,
            allowed=lambda: self.allowed,
            mend=self._mend,
        )

    async def _mend(self) -> None:
        self.mended += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.pump.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until_acknowledged(self) -> None:
        async with asyncio.timeout(10):
            while not self.fleet.acknowledged:
                await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump_module, "LINGER_S", 0.01)
    monkeypatch.setattr(pump_module, "IDLE_S", 0.02)
    monkeypatch.setattr(pump_module, "RETRY_S_FIRST", 0.01)


async def test_what_is_stored_is_acknowledged_and_counted() -> None:
    world = World()
    async with world.running():
        await world.until_acknowledged()
    assert world.journal.stored == world.fleet.acknowledged == [1, 2, 3]
    assert world.counts.messages == 3
    assert world.conditions.not_ready is None


@pytest.mark.parametrize("failure", [Outage("refused"), DiskFull("full"), SchemaBehind("no table"), Stalled("stuck")])
async def test_what_was_not_stored_is_kept_and_stored_later(failure: Exception) -> None:
    world = World(failure, failure)
    async with world.running():
        await world.until_acknowledged()
    assert world.journal.stored == world.fleet.acknowledged == [1, 2, 3]
    assert (world.journal.tried, world.counts.outages) == (3, 2)
    assert world.conditions.not_ready is None


async def test_during_an_outage_nothing_is_acknowledged_or_asked_for_and_readyz_says_why() -> None:
    world = World(*[Outage("connection refused")] * 10_000)
    async with world.running():
        async with asyncio.timeout(10):
            while world.journal.tried < 4:
                await asyncio.sleep(0.005)
        assert "connection refused" in (world.conditions.not_ready or "")
        assert (world.fleet.acknowledged, world.fleet.asked) == ([], 1)
        lag = world.counts.lag["FLEET"]
        assert (lag.messages, lag.seconds) == (3, 9.0)


async def test_a_schema_that_is_behind_is_mended() -> None:
    world = World(SchemaBehind("no column"))
    async with world.running():
        await world.until_acknowledged()
    assert world.mended == 1


async def test_without_room_nothing_is_taken_and_with_room_it_goes_on() -> None:
    world = World()
    world.allowed = False
    async with world.running():
        await asyncio.sleep(0.1)
        assert (world.fleet.held, world.journal.tried) == (3, 0)
        world.allowed = True
        await world.until_acknowledged()
    assert world.journal.stored == [1, 2, 3]


async def test_a_bug_ends_the_loop() -> None:
    world = World(TypeError("a value of a type nobody knows"))
    with pytest.raises(TypeError):
        async with asyncio.timeout(10):
            await world.pump.run()
    assert world.fleet.acknowledged == []


class SlowJournal(FakeJournal):
    """Stores when it is told to, and notes what is asked of it meanwhile."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__(*failures)
        self.begun: list[list[int]] = []
        self.gate = asyncio.Event()

    async def store(self, messages: Sequence[StoredMessage]) -> None:
        self.begun.append([message.seq for message in messages])
        await self.gate.wait()
        await super().store(messages)


def two_at_a_time(monkeypatch: pytest.MonkeyPatch, journal: SlowJournal) -> World:
    monkeypatch.setattr(pump_module, "MESSAGES_MAX", 2)
    world = World(count=7)
    world.journal = world.pump._journal = journal  # type: ignore[assignment]
    return world


async def test_while_a_batch_is_being_stored_one_more_is_handed_over_and_nothing_is_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = SlowJournal()
    world = two_at_a_time(monkeypatch, journal)
    async with world.running():
        await asyncio.sleep(0.2)
        assert (journal.begun, world.fleet.acknowledged, world.fleet.asked) == ([[1, 2], [3, 4]], [], 1)
        journal.gate.set()
        await until(lambda: len(world.fleet.acknowledged) == 7)
    assert journal.begun == [[1, 2], [3, 4], [5, 6], [7]]
    assert world.fleet.acknowledged == [1, 2, 3, 4, 5, 6, 7]


async def test_what_comes_later_is_acknowledged_later_also_when_it_was_stored_first(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = SlowJournal(Outage("away"), Behind("what came before"))
    world = two_at_a_time(monkeypatch, journal)
    journal.gate.set()
    async with world.running():
        await until(lambda: len(world.fleet.acknowledged) == 7)
    assert journal.stored == world.fleet.acknowledged == [1, 2, 3, 4, 5, 6, 7]
    assert world.counts.outages == 1
    assert world.conditions.not_ready is None


async def test_what_comes_later_waits_however_often_what_came_before_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Picky(SlowJournal):
        async def store(self, messages: Sequence[StoredMessage]) -> None:
            if messages[0].seq == 1 and self.tried < 5:
                self.failures = [Outage("away")]
            await super().store(messages)

    journal = Picky()
    world = two_at_a_time(monkeypatch, journal)
    journal.gate.set()
    async with world.running():
        await until(lambda: len(world.fleet.acknowledged) == 7)
    assert journal.stored == world.fleet.acknowledged == [1, 2, 3, 4, 5, 6, 7]
    assert world.counts.outages == 5


async def test_a_loop_that_is_stopped_acknowledges_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = SlowJournal()
    world = two_at_a_time(monkeypatch, journal)
    async with world.running():
        await until(lambda: len(journal.begun) == 2)
    journal.gate.set()
    await asyncio.sleep(0.05)
    assert (journal.stored, world.fleet.acknowledged) == ([], [])


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.005)
