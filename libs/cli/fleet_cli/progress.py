"""How far a long piece of work is: a bar on a terminal, a line now and then elsewhere. On stderr; stdout is for data."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fleet_cli.output import console, say

LINE_EVERY_S = 5.0
_MEGABYTE = 10**6


@contextmanager
def progress(what: str, size_bytes: int | None) -> Iterator[Callable[[int], None]]:
    """Yields a function that is told of bytes done. `size_bytes` None: nobody knows how many there are."""
    if not sys.stderr.isatty():
        yield _Lines(what, size_bytes).told
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(sys.stderr)) as bar:
        task = bar.add_task(what, total=size_bytes)
        yield lambda done: bar.update(task, advance=done)


class _Lines:
    """One line every few seconds."""

    def __init__(self, what: str, size_bytes: int | None) -> None:
        self._what, self._size_bytes = what, size_bytes
        self._done, self._said_at = 0, time.monotonic()

    def told(self, done: int) -> None:
        self._done += done
        now = time.monotonic()
        if now - self._said_at >= LINE_EVERY_S:
            self._said_at = now
            of = f" of {self._size_bytes / _MEGABYTE:.0f} MB" if self._size_bytes else ""
            say(f"{self._what}: {self._done / _MEGABYTE:.0f}{of or ' MB'}")
