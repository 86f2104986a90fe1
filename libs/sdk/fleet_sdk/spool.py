"""The spool on disk: segments of lines (core/spool_lines.py) in one folder, written before an event counts as taken.

An append is one `write` to the operating system: it survives a killed process at once, and a power failure after the next
`sync`. Old segments are only read; a restart writes to a new one. A segment is deleted when all its events are acked.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from fleet_sdk.core.spool_lines import Record, mark_line, read_segment, record_line
from fleet_sdk.errors import SpoolError, SpoolFull

SEGMENT_BYTES_MAX = 1024 * 1024
_RESERVE = 8
"""One part in eight of the spool is kept for what the SDK itself must say (verdicts, NEVER_SENT, BOT_ACK)."""
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _File:
    path: Path
    size: int
    last_n: int


class Spool:
    """One writer (the caller sees to that). `recovered`: what an earlier process left, oldest first, not acked yet."""

    def __init__(self, folder: Path, bytes_max: int) -> None:
        self._folder, self._bytes_max = folder, bytes_max
        self._segment_bytes = max(4096, min(SEGMENT_BYTES_MAX, bytes_max // 8))
        self._fd: int | None = None
        self._files: list[_File] = []
        self._n = self._acked = self._marked = 0
        self._dirty = False
        self._next_segment = 1
        self.recovered = self._recover()

    def append(self, subject: str, event_id: str, body: bytes, *, reserved: bool = False) -> Record:
        """Write an event down. Raises `SpoolFull` or `SpoolError`; then it is not taken. `reserved`: may use the reserve."""
        record = Record(self._n + 1, subject, event_id, body)
        line = record_line(record)
        room = self._bytes_max if reserved else self._bytes_max - self._bytes_max // _RESERVE
        if self.size + len(line) > room:
            self.tidy()
            if self.size + len(line) > room:
                raise SpoolFull(f"{self._folder} holds {self.size} of at most {room} bytes; is the bus away?")
        self._write(line)
        self._n = self._files[-1].last_n = record.n
        return record

    def acked(self, n: int) -> None:
        """All events up to `n` are stored by the bus. Written down by the next `tidy`."""
        self._acked = max(self._acked, n)

    def tidy(self) -> None:
        """Delete what is acked, and mark how far that is. Losing the mark costs a resend, no event."""
        if self._acked == self._marked:
            return
        self._marked = self._acked
        while self._files and self._files[0].last_n <= self._acked and self._may_go(self._files[0]):
            self._drop(self._files.pop(0))
        if self._files:
            try:
                self._write(mark_line(self._acked))
            except SpoolError as error:
                _log.warning("the spool's mark is not written: %s", error)

    def handle_to_sync(self) -> int | None:
        """A file descriptor of its own for `os.fsync` in another thread (which closes it); None when nothing is unsynced."""
        if not self._dirty or self._fd is None:
            return None
        self._dirty = False
        return os.dup(self._fd)

    def close(self) -> None:
        """Tidy, sync and close. An empty spool leaves no segment."""
        self.tidy()
        if self._acked == self._n:
            self._close_segment()
            for file in self._files:
                self._drop(file)
            self._files.clear()
        self._close_segment()

    @property
    def size(self) -> int:
        """Bytes the segments take on disk."""
        return sum(file.size for file in self._files)

    def _recover(self) -> list[Record]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        records: list[Record] = []
        for path in sorted(self._folder.glob("[0-9]*.jsonl")):
            self._next_segment = int(path.stem) + 1
            data = path.read_bytes()
            segment = read_segment(data)
            if segment.damaged:
                aside = path.with_suffix(".damaged")
                aside.write_bytes(b"\n".join(segment.damaged) + b"\n")
                _log.error("%d damaged lines of %s are kept in %s", len(segment.damaged), path, aside)
            records += segment.records
            self._acked = max(self._acked, segment.acked)
            self._files.append(_File(path, len(data), max((r.n for r in segment.records), default=0)))
        self._n = max((record.n for record in records), default=self._acked)
        self._n = max(self._n, self._acked)
        return [record for record in records if record.n > self._acked]

    def _write(self, line: bytes) -> None:
        try:
            if self._fd is None or self._files[-1].size >= self._segment_bytes:
                self._open_segment()
            assert self._fd is not None
            written = os.write(self._fd, line)
        except OSError as error:
            self._close_segment()
            raise SpoolError(f"{self._folder}: {error.strerror or error}") from error
        self._dirty = True
        self._files[-1].size += written
        if written != len(line):
            self._close_segment()
            raise SpoolError(f"{self._folder}: the disk is full")

    def _open_segment(self) -> None:
        self._close_segment()
        path = self._folder / f"{self._next_segment:08d}.jsonl"
        self._fd = os.open(path, _NEW_FILE, 0o600)
        self._next_segment += 1
        self._files.append(_File(path, 0, self._n))

    def _close_segment(self) -> None:
        """After a failed write too: its torn end is then the end of the segment."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            try:
                os.fsync(fd)
            except OSError as error:
                _log.warning("%s is not synced: %s", self._folder, error)
            os.close(fd)

    def _may_go(self, file: _File) -> bool:
        """A segment being written to goes only when it has grown: most of the time one file is enough."""
        if self._fd is None or file is not self._files[-1]:
            return True
        if file.size < self._segment_bytes // 2:
            return False
        self._close_segment()
        return True

    def _drop(self, file: _File) -> None:
        try:
            file.path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s is not deleted: %s", file.path, error)
