"""Kept examples: `<event>.<what it shows>.json`, one or more per event, written by hand. Tests hold them valid for ever."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def examples_of(token: str) -> dict[str, dict[str, Any]]:
    """An event's examples by file name (without `.json`), in order of name. Fractions come as floats: for reading only."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted(FOLDER.glob(f"{token}.*.json"))}
