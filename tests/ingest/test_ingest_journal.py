"""Judging and committing side by side: one portion ahead and no more, in order, and nothing after an outage."""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import pytest

from fleet_chassis.log import Stored
from fleet_chassis.questdb_writer import Outage, RowFault
from fleet_ingest import journal as journal_module
from fleet_ingest.core.lines import Calendar, Judged, StoredMessage
from fleet_ingest.core.rows import Row
from fleet_ingest.journal import Behind, Journal
from fleet_ingest.metrics import Counts

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GOOD = b'{"symbol":"BTC-PERP","side":"BUY","price":"1","qty":"1","pnl":"0"}'


class FakeWriter:
    """Commits what it is given when `gate` is open; `failures` come first. `bad`: events rows' line that is refused."""

    def __init__(self, *failures: Exception, bad: int | None = None) -> None:
        self.failures, self.bad = list(failures), bad
        self.committed: list[list[int]] = []
        self.entered, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def write(self, rows: Iterable[Row]) -> list[RowFault]:
        self.entered.set()
        self.gate.wait(10)
        if self.failures:
            raise self.failures.pop(0)
        lines = [row.columns.get("line") for row in rows]  # of both tables: only rows of `events` have a line
        self.committed.append([int(line) for line in lines if line is not None])  # type: ignore[arg-type]
        return [RowFault(index, "no") for index, line in enumerate(lines) if line is not None and line == self.bad]


class FakeDead:
    """Takes every letter, and remembers how many portions were committed before it."""

    def __init__(self, writer: FakeWriter) -> None:
        self.writer = writer
        self.letters: list[tuple[str, int]] = []

    async def append(self, subject: str, body: bytes, *, headers: dict[str, str], timeout_s: float) -> Stored:
        await asyncio.sleep(0.01)
        self.letters.append((headers["Fleet-Origin"], len(self.writer.committed)))
        return Stored(len(self.letters))


class World:
    def __init__(self, writer: FakeWriter) -> None:
        self.writer, self.dead, self.counts = writer, FakeDead(writer), Counts()
        self.journal = Journal(lambda: writer, self.dead, Calendar(), lambda: NOW, self.counts)  # type: ignore[arg-type, return-value]


class Told(list[Judged]):
    """Lines that note the numbers of those that are taken."""

    told: list[int]

    def __init__(self, lines: Iterable[Judged]) -> None:
        super().__init__(lines)
        self.told = []

    def __iter__(self) -> Iterator[Judged]:
        for line in super().__iter__():
            self.told.append(line.place.line)
            yield line


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "LINES_MAX", 2)


def message(*lines: bytes) -> StoredMessage:
    return StoredMessage("FLEET", 7, NOW, "fleet.main.trade.qe1", b"\n".join(lines))


async def test_lines_are_committed_in_order_a_portion_at_a_time() -> None:
    world = World(FakeWriter())
    await world.journal.store([message(*[GOOD] * 5)])
    assert world.writer.committed == [[0, 1], [2, 3], [4]]
    assert (world.counts.lines, world.counts.rows) == (5, 10)


async def test_nothing_to_store_writes_nothing() -> None:
    world = World(FakeWriter())
    await world.journal.store([])
    assert world.writer.committed == []


async def test_while_a_portion_is_committed_just_one_more_is_judged() -> None:
    world = World(FakeWriter())
    lines = Told(world.journal.judged(message(*[GOOD] * 9)))
    judged = lines.told
    world.writer.gate.clear()
    writing = asyncio.create_task(world.journal.write(lines))
    async with asyncio.timeout(10):
        while len(judged) < 4:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    assert (judged, world.writer.committed) == ([0, 1, 2, 3], [])
    world.writer.gate.set()
    assert await writing == []
    assert world.writer.committed == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]


async def test_a_portions_letters_are_in_dead_before_the_next_is_committed() -> None:
    world = World(FakeWriter(bad=3))
    await world.journal.store([message(GOOD, b"nope", GOOD, GOOD, b"nope")])
    assert world.dead.letters == [("FLEET.7.1", 1), ("FLEET.7.3", 2), ("FLEET.7.4", 3)]


async def test_of_what_is_refused_the_letter_holds_its_own_line() -> None:
    world = World(FakeWriter(bad=4))
    lines = [GOOD[:-1] + b',"event_id":"t%d"}' % number for number in range(6)]
    (letter,) = await world.journal.write(list(world.journal.judged(message(*lines))))
    assert (letter.origin, letter.body) == ("FLEET.7.4", lines[4])
    assert world.counts.rows == 11


async def test_what_is_stored_meanwhile_waits_and_fails_with_what_came_before_it() -> None:
    world = World(FakeWriter(Outage("away")))
    world.writer.gate.clear()
    first = asyncio.create_task(world.journal.store([message(GOOD)]))
    second = asyncio.create_task(world.journal.store([message(GOOD, GOOD)]))
    await asyncio.to_thread(world.writer.entered.wait, 10)
    world.writer.gate.set()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Outage, Behind]
    assert world.writer.committed == []


async def test_calls_that_overlap_are_committed_in_order_of_asking() -> None:
    world = World(FakeWriter())
    await asyncio.gather(world.journal.store([message(*[GOOD] * 5)]), world.journal.store([message(*[GOOD] * 3)]))
    assert world.writer.committed == [[0, 1], [2, 3], [4], [0, 1], [2]]


async def test_after_an_outage_nothing_more_is_committed_and_all_of_it_can_be_stored_again() -> None:
    world = World(FakeWriter(Outage("away")))
    with pytest.raises(Outage):
        await world.journal.store([message(*[GOOD] * 5)])
    assert world.writer.committed == []
    await world.journal.store([message(*[GOOD] * 5)])
    assert world.writer.committed == [[0, 1], [2, 3], [4]]


async def test_a_bug_in_judging_is_not_swallowed() -> None:
    world = World(FakeWriter())

    with pytest.raises(AttributeError):
        await world.journal.write([*world.journal.judged(message(GOOD, GOOD)), None])  # type: ignore[list-item]
    assert world.writer.committed == [[0, 1]]
