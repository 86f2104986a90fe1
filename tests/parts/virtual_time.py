"""An event loop whose clock jumps: nothing waits, everything happens in a fixed order, one seed is one history.

`run(main)` runs a coroutine on it. Time is `loop.time()`; a wall clock for it is `loop.wall_clock`. Executors run their
work at once on the spot. A loop with nothing left to do and nothing to wait for raises `Deadlock` instead of hanging.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

EPOCH = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
T = TypeVar("T")


class Deadlock(AssertionError):
    """Every task waits for something that can never happen."""


class _NoWaiting(selectors.SelectSelector):
    """A selector that lets the clock jump instead of sleeping."""

    def __init__(self) -> None:
        super().__init__()
        self.jump: Callable[[float], None] = lambda _: None

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Deadlock("nothing is scheduled and nothing will happen")
        if timeout > 0:
            self.jump(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; its time starts at 0."""

    def __init__(self) -> None:
        selector = _NoWaiting()
        self._virtual_now = 0.0
        super().__init__(selector)
        selector.jump = self._jump
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._virtual_now

    def wall_clock(self) -> datetime:
        """The virtual time of day: EPOCH plus `time()`."""
        return EPOCH + timedelta(seconds=self._virtual_now)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed to whoever awaits, as an executor would
            done.set_exception(error)
        return done

    def _jump(self, seconds: float) -> None:
        self._virtual_now += seconds


def run(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `main(loop)` to its end on a fresh virtual loop and cancel what is left over."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main(loop))
    finally:
        leftover = asyncio.all_tasks(loop)
        for task in leftover:
            task.cancel()
        if leftover:
            loop.run_until_complete(asyncio.gather(*leftover, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()
