"""Makes schemas, AsyncAPI document and docs pages out of the registry: `python -m fleet_contracts.generate [--check]`.

`--check` writes nothing and exits 1 naming every file that is not what it would make. Needs a checkout.
"""

import json
import sys
from pathlib import Path
from typing import Any

from fleet_contracts.asyncapi import document
from fleet_contracts.pages import events_page, permissions_page
from fleet_contracts.registry import EVENTS
from fleet_contracts.schemas import schema_of

PACKAGE = Path(__file__).parent
DOCS = PACKAGE.parents[2] / "docs"
SCHEMAS = PACKAGE / "schemas"


def wanted() -> dict[Path, str]:
    """Every generated file and its text."""
    files = {SCHEMAS / f"{spec.token}.json": _json(schema_of(spec)) for spec in EVENTS}
    files[DOCS / "asyncapi.json"] = _json(document())
    files[DOCS / "events.md"] = events_page()
    files[DOCS / "permissions.md"] = permissions_page()
    return files


def stale() -> list[Path]:
    """Files that are missing, differ, or belong to no event any more."""
    files = wanted()
    differing = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    return differing + [path for path in SCHEMAS.glob("*.json") if path not in files]


def write() -> None:
    """Write them all; remove schemas of events that are gone."""
    SCHEMAS.mkdir(exist_ok=True)
    for path in stale():
        path.unlink(missing_ok=True)
    for path, text in wanted().items():
        path.write_text(text, "utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """The command; its exit code."""
    if arguments == ["--check"]:
        old = stale()
        for path in old:
            sys.stderr.write(f"{path} is not current: run python -m fleet_contracts.generate\n")
        return 1 if old else 0
    if arguments:
        sys.stderr.write("usage: python -m fleet_contracts.generate [--check]\n")
        return 2
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
