"""JSON Schemas of the events, made from the models (draft 2020-12)."""

from typing import Any

from fleet_contracts.registry import EventSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FROM_SUBJECT = ("event_type", "account", "source")


def schema_of(spec: EventSpec) -> dict[str, Any]:
    """What a line of this event must look like. Fields it does not name are welcome."""
    schema = spec.model.model_json_schema(mode="validation")
    properties = schema["properties"]
    for name in _FROM_SUBJECT:
        properties[name].pop("default", None)
    properties["event_type"] = {"const": spec.type}
    return {
        "$schema": DIALECT,
        "$id": f"urn:quantumedge:event:{spec.token}",
        **schema,
        "title": spec.type,
    }
