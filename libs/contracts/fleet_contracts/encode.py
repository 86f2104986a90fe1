"""An event as one line of JSON."""

from fleet_contracts.envelope import Event, Open
from fleet_contracts.fleet_events import OrderDecision


def encode(event: Event) -> bytes:
    """One JSON line without its newline: absent fields left out, decimals as strings, unknown fields as they came."""
    return event.__pydantic_serializer__.to_json(event, exclude_none=True)


def encode_part(part: Open) -> bytes:
    """A part of an event (a halt, a position) in the same form."""
    return part.__pydantic_serializer__.to_json(part, exclude_none=True)


def encode_reply(decision: OrderDecision) -> bytes:
    """The body a synchronous door answers with; a no-decision shows `"event_id":null`."""
    line = encode(decision)
    return line if decision.event_id is not None else line[:-1] + b',"event_id":null}'
