"""How fast candles come: as fast as they are handled, or so many a minute."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

CANDLE_S = 60.0
_SLICE_S = 1.0


class Pace:
    """`speed` ×1 … ×1440 of the candles' own time; None: no waiting. `between` runs about once a second of waiting."""

    def __init__(self, speed: float | None, stop: asyncio.Event) -> None:
        self._interval_s = CANDLE_S / speed if speed is not None else 0.0
        self._stop = stop
        self._due = time.monotonic()

    async def wait(self, between: Callable[[], Awaitable[None]]) -> None:
        """Until the next candle is due, or the run is to stop. A slow candle is not made up for."""
        if not self._interval_s:
            return
        self._due = max(self._due + self._interval_s, time.monotonic())
        while not self._stop.is_set() and (left := self._due - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, _SLICE_S)):
                    await self._stop.wait()
            if left > _SLICE_S:
                await between()
