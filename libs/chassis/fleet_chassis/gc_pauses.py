"""How long the garbage collector has stopped the process at most: a pause is a wait of everybody at the door."""

import gc
import time
from collections.abc import Mapping
from typing import Any


class GcPauses:
    """`watch()` once, when the process begins to serve; `longest_s` is the longest of its `collections` since, in seconds."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.collections = 0
        self._begun = 0.0

    def watch(self) -> None:
        """Take note of every collection from now on."""
        gc.callbacks.append(self._note)

    def forget(self) -> None:
        """Take note of none any more."""
        if self._note in gc.callbacks:
            gc.callbacks.remove(self._note)

    def _note(self, phase: str, info: Mapping[str, Any]) -> None:
        if phase == "start":
            self._begun = time.perf_counter()
        elif self._begun:
            self.collections += 1
            self.longest_s = max(self.longest_s, time.perf_counter() - self._begun)
