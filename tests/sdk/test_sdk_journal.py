"""From the spool to the bus: everything arrives, once, in order, whatever happens on the way."""

import asyncio
import os
import random
from pathlib import Path

import pytest

from fleet_sdk.journal import Journal
from fleet_sdk.spool import Spool
from parts.memory_bus import MemoryBus
from parts.virtual_time import VirtualLoop, run

SUBJECT = "fleet.main.trade.qe1"


class Life:
    """One process of a bot: its spool and its journal, which can be killed."""

    def __init__(self, folder: Path, bus: MemoryBus) -> None:
        self.spool = Spool(folder, 1024 * 1024)
        self.journal = Journal(self.spool, bus, "qe1", fsync_s=0.2)  # type: ignore[arg-type]
        self._jobs = [asyncio.create_task(self.journal.send_all()), asyncio.create_task(self.journal.sync_all())]

    def say(self, event_id: str) -> None:
        self.journal.record(SUBJECT, event_id, b'{"event_id":"%s"}' % event_id.encode())

    async def die(self) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        if self.spool._fd is not None:
            os.close(self.spool._fd)
            self.spool._fd = None


def ids(bus: MemoryBus) -> list[object]:
    return [message.event["event_id"] for message in bus.stream]


async def _history(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    bus = MemoryBus()
    life = Life(folder, bus)
    said: list[str] = []
    for number in range(rng.randrange(20, 80)):
        match rng.random():
            case p if p < 0.60:
                said.append(f"e-{number}")
                life.say(said[-1])
            case p if p < 0.68:
                bus.go_away()
            case p if p < 0.80:
                bus.come_back()
            case p if p < 0.86:
                bus.lose_answers = rng.randrange(3)
            case p if p < 0.90:
                bus.refuse = rng.choice([None, "maximum bytes exceeded"])
            case p if p < 0.95:
                await life.die()
                life = Life(folder, bus)
            case _:
                bus.delay_s = rng.choice([0.001, 0.5, 3.0])
        await asyncio.sleep(rng.choice([0, 0.001, 0.3, 2.5]))
    bus.refuse, bus.delay_s, bus.lose_answers = None, 0.001, 0
    bus.come_back()
    assert await life.journal.flush(60)
    assert ids(bus) == said
    await life.die()
    again = Spool(folder, 1024 * 1024)
    again.close()


@pytest.mark.parametrize("seed", range(60))
def test_every_event_arrives_once_and_in_order_in_any_history(tmp_path: Path, seed: int) -> None:
    run(lambda loop: _history(tmp_path, seed))


def test_an_event_whose_id_a_stranger_has_used_is_stored_all_the_same(tmp_path: Path) -> None:
    async def story(loop: VirtualLoop) -> None:
        bus = MemoryBus(ids={"qe1:mine": 1})
        life = Life(tmp_path, bus)
        life.say("mine")
        assert await life.journal.flush(5)
        assert ids(bus) == ["mine"]
        await life.die()

    run(story)


def test_what_waits_is_counted_and_flush_says_when_it_takes_too_long(tmp_path: Path) -> None:
    async def story(loop: VirtualLoop) -> None:
        bus = MemoryBus(connected=False)
        life = Life(tmp_path, bus)
        for number in range(3):
            life.say(f"e-{number}")
        assert life.journal.waiting == 3
        assert not await life.journal.flush(1)
        bus.come_back()
        assert await life.journal.flush(1)
        assert life.journal.waiting == 0
        assert life.journal.last_seq == 3
        await life.die()

    run(story)


def test_a_refused_event_is_kept_and_tried_again_with_growing_pauses(tmp_path: Path) -> None:
    async def story(loop: VirtualLoop) -> None:
        bus = MemoryBus(refuse="maximum bytes exceeded")
        life = Life(tmp_path, bus)
        life.say("e-1")
        await asyncio.sleep(60)
        assert 25 < len(bus.asked) < 60
        bus.refuse = None
        assert await life.journal.flush(5)
        assert ids(bus) == ["e-1"]
        await life.die()

    run(story)
