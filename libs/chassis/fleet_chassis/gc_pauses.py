"""The garbage collector of a process that serves: out of the way, and how long it stops everybody at most."""

import asyncio
import gc
import time
from collections.abc import Iterable, Mapping
from typing import Any


class GcPauses:
    """`longest_s` is the longest collection since the process began to serve, in seconds."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._begun = 0.0

    async def serve(self, ready: Iterable[asyncio.Event]) -> None:
        """When all is ready, what the folds have made lives for days: take it out of the collector's way, and note every
        collection until cancelled.
        """
        for event in ready:
            await event.wait()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1_000)
        gc.callbacks.append(self.note)
        try:
            await asyncio.Event().wait()
        finally:
            gc.callbacks.remove(self.note)

    def note(self, phase: str, info: Mapping[str, Any]) -> None:
        """One of the collector's callbacks."""
        if phase == "start":
            self._begun = time.perf_counter()
        elif self._begun:
            self.longest_s = max(self.longest_s, time.perf_counter() - self._begun)
