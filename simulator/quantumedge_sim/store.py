"""Where the simulated venue and the bot's own records outlive a restart: one JSON file, replaced whole.

Written before anything is told to the fleet, so that after a crash the same reports are told again, byte for byte. A
virtual-time run keeps nothing.
"""

import json
import os
from pathlib import Path
from typing import Any

FORMAT = 1


class DamagedStore(ValueError):
    """The file is there and cannot be used; the message names it."""


class Store:
    """`path` None: nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def load(self) -> dict[str, Any] | None:
        """What was saved last; None when there is nothing. Raises `DamagedStore`."""
        if self.path is None or not self.path.exists():
            return None
        try:
            fields = json.loads(self.path.read_bytes())
            if not isinstance(fields, dict) or fields.get("format") != FORMAT:
                raise ValueError("another format")
        except (OSError, ValueError) as error:
            raise DamagedStore(f"{self.path}: {error}") from error
        return fields

    def save(self, fields: dict[str, Any]) -> None:
        """Replace what was saved. Raises OSError."""
        if self.path is None:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps({"format": FORMAT, **fields}, default=str), encoding="utf-8")
        os.replace(temporary, self.path)
