"""The collector's pauses are noted while somebody is served, and not before."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from fleet_chassis.gc_pauses import GcPauses


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


async def test_a_collection_is_noted_from_when_all_is_ready_until_the_end() -> None:
    pauses, ready = GcPauses(), asyncio.Event()
    serving = asyncio.create_task(pauses.serve([ready]))
    await asyncio.sleep(0)
    gc.collect()
    assert pauses.longest_s == 0.0
    ready.set()
    async with asyncio.timeout(10):
        while not gc.get_freeze_count():
            await asyncio.sleep(0)
    gc.collect()
    longest = pauses.longest_s
    assert longest > 0
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert pauses.note not in gc.callbacks
