"""The log files of parts: bounded on disk, written by the parts themselves, read from the end.

A part holds its log open for appending, so a stuck manager never blocks it; the file is bounded by copying it aside and
emptying it (what is written between the two steps is the one thing that may be lost).
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

LOG_BYTES_MAX = 16 * 1024 * 1024
"""Size at which a log is put aside."""
LOGS_KEPT = 2
"""Old logs kept per part: <part>.log.1 is the newer."""
_BLOCK = 64 * 1024


def open_log(path: Path) -> int:
    """A descriptor to hand to a part; mode 0600."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def bound_log(path: Path, bytes_max: int = LOG_BYTES_MAX, kept: int = LOGS_KEPT) -> bool:
    """Put a log that has grown past its bound aside; True when that was done."""
    try:
        if path.stat().st_size <= bytes_max:
            return False
    except FileNotFoundError:
        return False
    for number in range(kept, 1, -1):
        older = path.with_name(f"{path.name}.{number - 1}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))
    aside = path.with_name(f"{path.name}.1")
    try:
        shutil.copyfile(path, aside)
    except OSError:  # a full disk: the room matters more than the old lines
        aside.unlink(missing_ok=True)
    os.truncate(path, 0)
    return True


def last_lines(path: Path, count: int, since_byte: int = 0) -> Sequence[str]:
    """The last `count` lines, none from before `since_byte`; empty when there is no such log."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            start, data = end, b""
            while start > since_byte and data.count(b"\n") <= count:
                start = max(since_byte, start - _BLOCK)
                file.seek(start)
                data = file.read(end - start)
    except FileNotFoundError:
        return []
    return data.decode("utf-8", "replace").splitlines()[-count:] if count else []
