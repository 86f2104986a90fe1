"""A file read once, for two: its bytes go on while they are hashed and counted."""

import hashlib
from collections.abc import Callable
from typing import IO

Told = Callable[[int], None]
"""Called with the number of bytes done since the last call."""


class CountedReader:
    """Reads a file; knows the SHA-256 of what it has read."""

    def __init__(self, file: IO[bytes], told: Told = lambda done: None) -> None:
        self._file, self._told, self._sum = file, told, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """As a file's `read`. Raises OSError."""
        chunk = self._file.read(size)
        self._sum.update(chunk)
        self._told(len(chunk))
        return chunk

    @property
    def digest(self) -> str:
        """In hex, of all that was read."""
        return self._sum.hexdigest()
