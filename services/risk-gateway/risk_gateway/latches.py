"""Latch files: a halt that needs neither bus nor leadership. `latch/<account>/<halt_id>.json`; any file = halted."""

import json
import logging
import os
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from fleet_contracts import Halt, derived_id
from fleet_contracts.encode import encode_part
from fleet_contracts.envelope import TOKEN

_log = logging.getLogger(__name__)


class LatchFiles:
    """The latch folder of one account. Calls block on the disk for a moment; a halt is worth it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}
        self._writes = count()

    def write(self, halt: Halt) -> None:
        """Durable before it returns: temporary file, fsync, rename, fsync of the folder. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(halt.halt_id)
        temporary = path.with_suffix(f".{next(self._writes)}.tmp")  # the same halt may be written twice at once
        with temporary.open("wb") as file:
            file.write(encode_part(halt) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read(self) -> dict[str, Halt]:
        """Every latch by halt id. Any file halts, whatever is in it; one whose name is no id gets an id of its own."""
        found = {path: self._halt(path) for path in sorted(self._folder.glob("*.json"))}
        self._files = {halt.halt_id: path for path, halt in found.items()}
        return {halt.halt_id: halt for halt in found.values()}

    def delete(self, halt_id: str) -> None:
        """The halt was lifted in the log."""
        self._files.pop(halt_id, self._path(halt_id)).unlink(missing_ok=True)

    def _path(self, halt_id: str) -> Path:
        return self._folder / f"{halt_id}.json"

    def _halt(self, path: Path) -> Halt:
        try:
            return Halt.model_validate({**json.loads(path.read_bytes()), "halt_id": path.stem})
        except (OSError, ValueError, TypeError, RecursionError) as error:
            if path not in self._files.values():
                _log.error("latch file %s cannot be read (%s); it halts all the same", path, type(error).__name__)
            name = path.stem
            halt_id = name if TOKEN.fullmatch(name) else derived_id("latch", "file", name, "HALT")
            return Halt(halt_id=halt_id, cause="LATCH_FILE", since=_written_at(path), by="unreadable")


def _written_at(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return datetime.now(UTC)
