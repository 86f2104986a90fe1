"""An event as one line of JSON."""

from pydantic_core import to_json

from fleet_contracts.envelope import Event, Open
from fleet_contracts.fleet_events import OrderDecision


def encode(event: Event) -> bytes:
    """One JSON line without its newline: absent fields left out, decimals as strings, unknown fields as they came."""
    return encode_part(event)


def encode_part(part: Open) -> bytes:
    """A part of an event (a halt, a position) in the same form."""
    line: bytes = part.__pydantic_serializer__.to_json(part, exclude_none=True)
    unknown = part.__pydantic_extra__
    if not unknown or None not in unknown.values():
        return line
    # A null is a value to who sent it; only our own absent fields are left out.
    nulls = to_json({name: None for name, value in unknown.items() if value is None})
    return line[:-1] + (b"," if len(line) > 2 else b"") + nulls[1:]


def encode_reply(decision: OrderDecision) -> bytes:
    """The body a synchronous door answers with; a no-decision shows `"event_id":null`."""
    line = encode(decision)
    return line if decision.event_id is not None else line[:-1] + b',"event_id":null}'
