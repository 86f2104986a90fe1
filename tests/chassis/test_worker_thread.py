"""One thread for blocking work: order, errors, and a way out when the work never ends."""

import asyncio
import threading

import pytest

from fleet_chassis.worker_thread import Stalled, WorkerThread


async def test_work_is_done_in_one_thread_in_order_of_asking() -> None:
    worker, done = WorkerThread("w"), []
    threads = await asyncio.gather(*(worker.run(lambda n=n: (done.append(n), threading.get_ident())[1], 5) for n in range(5)))  # type: ignore[misc]
    assert done == [0, 1, 2, 3, 4]
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()
    worker.close()


async def test_what_the_work_raises_arrives() -> None:
    worker = WorkerThread("w")

    def fails() -> None:
        raise ValueError("bad luck")

    with pytest.raises(ValueError, match="bad luck"):
        await worker.run(fails, 5)
    assert await worker.run(lambda: 7, 5) == 7
    worker.close()


async def test_work_that_never_ends_is_left_behind() -> None:
    worker, gate = WorkerThread("w"), threading.Event()
    with pytest.raises(Stalled, match="w has not answered"):
        await worker.run(lambda: gate.wait(30), 0.05)
    assert await worker.run(lambda: 7, 5) == 7
    gate.set()
    worker.close()


async def test_a_caller_that_gives_up_does_not_stop_the_next() -> None:
    worker, gate = WorkerThread("w"), threading.Event()
    waiting = asyncio.create_task(worker.run(lambda: gate.wait(30), 30))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    gate.set()
    assert await worker.run(lambda: 7, 5) == 7
    worker.close()
