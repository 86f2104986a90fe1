"""A lock that dies with its process, on every system."""

import time
from io import BufferedRandom
from pathlib import Path

from fleet_sdk.errors import SpoolInUse

_LOOK_AGAIN_S = 0.05


class FileLock:
    """Held from `__init__` to `release()`. Waits `wait_s` for an owner that is about to end, then raises `SpoolInUse`."""

    def __init__(self, path: Path, wait_s: float = 2.0) -> None:
        self._file = path.open("a+b")
        until = time.monotonic() + wait_s
        while not _take(self._file):
            if time.monotonic() >= until:
                self._file.close()
                raise SpoolInUse(f"{path.parent} belongs to another running process of this bot; stop it first")
            time.sleep(_LOOK_AGAIN_S)

    def release(self) -> None:
        """Let others have it."""
        self._file.close()


def _take(file: BufferedRandom) -> bool:
    try:
        import fcntl
    except ImportError:
        return _take_on_windows(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take_on_windows(file: BufferedRandom) -> bool:
    import msvcrt

    file.seek(0)
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return True
