"""One thread for blocking work, with a way out when the work never ends."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_Job = Callable[[], None]


class Stalled(Exception):
    """The work did not end in time. Its thread is left behind; the next work gets a new one."""


class WorkerThread:
    """Runs one job at a time, in order of asking, always in the same thread as long as it answers."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._turn = asyncio.Lock()
        self._started = False

    async def run(self, work: Callable[[], T], timeout_s: float) -> T:
        """The result of `work`, or what it raised. Raises `Stalled` after `timeout_s`."""
        async with self._turn:
            self._start()
            done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            self._jobs.put(_job(work, done))
            try:
                async with asyncio.timeout(timeout_s):
                    return await done
            except TimeoutError:
                if done.done() and not done.cancelled():
                    return done.result()
                self.close()
                raise Stalled(f"{self._name} has not answered for {timeout_s:.0f} s") from None

    def close(self) -> None:
        """Let the thread end after the job it is at; a later `run` starts another."""
        if self._started:
            self._jobs.put(None)
            self._jobs, self._started = queue.SimpleQueue(), False

    def _start(self) -> None:
        if not self._started:
            threading.Thread(target=_serve, args=(self._jobs,), name=self._name, daemon=True).start()
            self._started = True


def _job(work: Callable[[], T], done: asyncio.Future[T]) -> _Job:
    loop = done.get_loop()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def job() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody awaits any more
            loop.call_soon_threadsafe(settle, result, failure)

    return job


def _serve(jobs: "queue.SimpleQueue[_Job | None]") -> None:
    while (job := jobs.get()) is not None:
        job()
