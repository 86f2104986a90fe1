"""What has been promised: each event's first schema, and what each kept example meant. Files in tests/contracts/frozen.

`python tests/parts/freeze.py` freezes what is not frozen yet. It never changes a frozen file: nobody takes a promise back.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleet_contracts import EVENTS, EventSpec, Provenance, encode, event_subject, parse
from fleet_contracts.examples import FOLDER
from fleet_contracts.registry import BOT, SERVICE
from fleet_contracts.schemas import schema_of

FROZEN = Path(__file__).parents[1] / "contracts" / "frozen"
SCHEMAS, MEANINGS = FROZEN / "schemas", FROZEN / "meanings"
_AT = datetime(2026, 1, 5, 10, 0, 0, 250_000, tzinfo=UTC)


def example_files() -> list[Path]:
    """All kept examples."""
    return sorted(FOLDER.glob("*.json"))


def line_of(example: Path) -> bytes:
    """The example as one line; its number literals stay as they were written."""
    return b"".join(part.strip() + b" " for part in example.read_bytes().splitlines()).strip()


def subject_of(spec: EventSpec, line: bytes) -> str:
    """Where such a line would be published."""
    sent = json.loads(line)
    producer = {BOT: "qe1", SERVICE: "risk-gateway"}
    default = next(producer.get(name, name) for name in sorted(spec.producers))
    return event_subject(sent.get("account", "main"), spec.type, sent.get("source", default))


def meaning(subject: str, line: bytes) -> dict[str, Any]:
    """What a stored line says, everything filled in that was left out. Raises AssertionError when it is bad."""
    spec_stream = "HEARTBEAT" if ".heartbeat." in subject else "FLEET"
    parsed = parse(subject, line, Provenance(spec_stream, 20_817, _AT))
    assert not parsed.bad, parsed.bad
    said: dict[str, Any] = json.loads(encode(parsed.lines[0].event))
    return said


def freeze() -> list[Path]:
    """Write what is missing; the files written."""
    written: list[Path] = []
    for spec in EVENTS:
        written += _keep(SCHEMAS / f"{spec.token}.json", schema_of(spec))
    by_token = {spec.token: spec for spec in EVENTS}
    for example in example_files():
        line = line_of(example)
        subject = subject_of(by_token[example.name.split(".")[0]], line)
        kept = {"subject": subject, "line": line.decode(), "means": meaning(subject, line)}
        written += _keep(MEANINGS / example.name, kept)
    return written


def _keep(path: Path, value: object) -> list[Path]:
    if path.exists():
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return [path]


if __name__ == "__main__":
    for kept in freeze():
        print(kept.relative_to(FROZEN))
