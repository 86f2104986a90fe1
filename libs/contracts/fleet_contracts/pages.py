"""The pages of docs/ that are made from the registry."""

import json
from typing import Any

from fleet_contracts.examples import examples_of
from fleet_contracts.permissions import Permissions, bot_permissions, operator_permissions, service_permissions
from fleet_contracts.registry import BOT, EVENTS, SERVICE, EventSpec, stream_subjects
from fleet_contracts.schemas import schema_of
from fleet_contracts.subjects import SERVICES
from fleet_contracts.vocabulary import DeadReason, Stream

_NOTICE = "*Made by `python -m fleet_contracts.generate`; do not edit.*\n"
_ENVELOPE = ("event_type", "schema_version", "account", "source", "ts", "event_id", "cause")


def events_page() -> str:
    """docs/events.md: every event, who sends it, where it is kept, its fields, an example."""
    rows = "\n".join(_row(spec) for spec in EVENTS)
    reasons = ", ".join(f"`{reason}`" for reason in DeadReason)
    parts = [
        "# Events\n",
        _NOTICE,
        "A message on `fleet.<account>.<event>.<source>` is one JSON object, or several, one per line. Every event may carry\n"
        "the envelope: `event_type schema_version account source ts event_id cause`; what is left out is taken from the\n"
        "subject and the stream. Unknown fields are kept. Amounts are decimals, sent as string or number, emitted as string.\n",
        f"| event | sent by | stream | table | a bad line | what it is |\n|---|---|---|---|---|---|\n{rows}\n",
        f"A dead letter is published on `dead.ingest.<reason>`; reasons: {reasons}.\n",
        *(_event(spec) for spec in EVENTS),
    ]
    return "\n".join(parts)


def _row(spec: EventSpec) -> str:
    cells = (f"[{spec.type}](#{spec.token})", _producers(spec), f"`{spec.stream}`", _table(spec), _bad_line(spec), spec.doc)
    return f"| {' | '.join(cells)} |"


def _event(spec: EventSpec) -> str:
    """One event's section; a section's anchor is the event's token."""
    schema = schema_of(spec)
    required = schema.get("required", [])
    doc = "\n".join(line.strip() for line in (spec.model.__doc__ or "").strip().splitlines())
    fields = [
        f"| `{name}` | {_type(field, schema.get('$defs', {}))} | {'yes' if name in required else ''} |"
        for name, field in schema["properties"].items()
        if name not in _ENVELOPE
    ]
    table = "| field | type | required |\n|---|---|---|\n" + "\n".join(fields) + "\n" if fields else "An open body.\n"
    example = json.dumps(next(iter(examples_of(spec.token).values())), ensure_ascii=False)
    return f'<a id="{spec.token}"></a>\n\n## {spec.type}\n\n{doc}\n\n{table}\n```json\n{example}\n```\n'


def _type(field: dict[str, Any], defs: dict[str, Any]) -> str:
    """A field's type in a few words."""
    if "anyOf" in field:
        kinds = [_type(kind, defs) for kind in field["anyOf"] if kind.get("type") != "null"]
        return "decimal" if kinds == ["text", "number"] else " or ".join(dict.fromkeys(kinds))
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return _type(defs[name], defs) if "enum" in defs[name] else name.lower()
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}), defs)}"
    if field.get("format") == "date-time":
        return "time"
    kind = str(field.get("type", "anything"))
    return {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(kind, kind)


def _producers(spec: EventSpec) -> str:
    names = {BOT: "bots", SERVICE: "services"}
    return ", ".join(names.get(producer, producer) for producer in sorted(spec.producers))


def _table(spec: EventSpec) -> str:
    tables = [f"`{table}`" for table in (spec.table, "events" if spec.journaled else None) if table]
    return ", ".join(tables)


def _bad_line(spec: EventSpec) -> str:
    return "dead letter" if spec.journaled else "counted"


def permissions_page() -> str:
    """docs/permissions.md: what each stream stores, and what each NATS user may publish and subscribe to."""
    parts = [
        "# Streams and permissions\n",
        _NOTICE,
        *(f"## Stream {stream}\n\n{_list(stream_subjects(stream))}" for stream in Stream),
        "## User fleet-init\n\nEverything in the fleet's account: it makes streams and consumers. Nothing else runs as it.\n",
        *(_user(service, service_permissions(service)) for service in SERVICES),
        _user("operator", operator_permissions()),
        _user("of a bot (here `qe1` on account `main`)", bot_permissions("qe1", ["main"])),
    ]
    return "\n".join(parts)


def _user(name: str, permissions: Permissions) -> str:
    answers = "\nIt may publish once to the reply subject of a request it received.\n" if permissions.answers else ""
    return f"## User {name}\n\npublish\n\n{_list(permissions.publish)}\nsubscribe\n\n{_list(permissions.subscribe)}{answers}"


def _list(subjects: list[str] | tuple[str, ...]) -> str:
    return "".join(f"- `{subject}`\n" for subject in subjects)
