"""Latch files: a halt that needs neither bus nor leadership. `latch/<account>/<halt_id>.json`; any file = halted."""

import json
import logging
import os
from pathlib import Path

from pydantic import ValidationError

from fleet_contracts import Halt
from fleet_contracts.encode import encode_part

_log = logging.getLogger(__name__)


class LatchFiles:
    """The latch folder of one account. Calls block on the disk for a moment; a halt is worth it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, halt: Halt) -> None:
        """Durable before it returns: temporary file, fsync, rename, fsync of the folder. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(halt.halt_id)
        temporary = path.with_suffix(".tmp")
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
        """Every latch. A file that cannot be read still halts, under its own name."""
        return {path.stem: self._halt(path) for path in sorted(self._folder.glob("*.json"))}

    def delete(self, halt_id: str) -> None:
        """The halt was lifted in the log."""
        self._path(halt_id).unlink(missing_ok=True)

    def _path(self, halt_id: str) -> Path:
        return self._folder / f"{halt_id}.json"

    def _halt(self, path: Path) -> Halt:
        try:
            return Halt.model_validate({**json.loads(path.read_bytes()), "halt_id": path.stem})
        except (OSError, ValueError, ValidationError) as error:
            _log.error("latch file %s cannot be read (%s); it halts all the same", path, error)
            since = path.stat().st_mtime if path.exists() else 0
            return Halt.model_validate({"halt_id": path.stem, "cause": "LATCH_FILE", "since": since, "by": "unreadable"})
