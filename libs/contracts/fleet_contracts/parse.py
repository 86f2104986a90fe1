"""Bytes into events. Whatever arrives, `parse` gives events and bad lines; it never raises."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError
from pydantic_core import from_json

from fleet_contracts.bot_events import Heartbeat, OrderRequest
from fleet_contracts.encode import encode
from fleet_contracts.envelope import TOKEN, Event
from fleet_contracts.literals import NotJson, delicate, settled
from fleet_contracts.registry import BY_TOKEN, REGISTRY, EventSpec
from fleet_contracts.subjects import Address, SubjectError, split_subject
from fleet_contracts.vocabulary import DeadReason

LINE_BYTES_MAX = 65_536
"""One event."""
ORDER_BYTES_MAX = LINE_BYTES_MAX - 4_096
"""One ORDER_REQUEST as the fleet writes it: its decision carries all of it and is an event too."""
MESSAGE_BYTES_MAX = 1_000_000
"""One message."""
_ROOMY = ORDER_BYTES_MAX // 5
"""Lines up to here cannot outgrow an order's bound: at worst `1e15` becomes `1000000000000000.0`."""
_DETAIL_MAX = 300
_RESERVED = ("FLEET-", "HEARTBEAT-", "MARKET-", "DEAD-", "SCHEDULE-", "hb-")
_RESERVED_ID = re.compile(r"(FLEET|HEARTBEAT|MARKET|DEAD|SCHEDULE)-[0-9]+-[0-9]+|hb-[0-9]+-[0-9]+")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a message is stored, and since when (the stream's time, aware UTC)."""

    stream: str
    seq: int
    at: datetime


@dataclass(slots=True)
class Line:
    """A good line; `index` counts from 0, empty lines included. `event` has type, account and source; with a
    provenance also `ts` and `event_id`.
    """

    index: int
    raw: bytes
    event: Event


Read = Callable[[EventSpec, bytes], Event | None]
"""A quicker reader of usual lines: the very event that pydantic would read, or None where it is not sure."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no event of its subject."""

    index: int
    raw: bytes
    reason: DeadReason
    detail: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """Everything a message held."""

    lines: tuple[Line, ...]
    bad: tuple[BadLine, ...]


class BadInput(Exception):
    """A line that cannot be taken: `reason`, `detail` for a person, `field` when one is to blame."""

    def __init__(self, reason: DeadReason, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.field = reason, detail, field


def parse(subject: str, body: bytes, stored: Provenance | None = None, read: Read | None = None) -> Parsed:
    """The events of a message and its bad lines, in order. Never raises.

    Empty lines count for `index` and are in neither list.
    """
    lines: list[Line] = []
    bad: list[BadLine] = []
    try:
        address = split_subject(subject)
        spec = _spec_of(address)
    except BadInput as error:
        return _all_bad(body, error.reason, error.detail)
    except SubjectError as error:
        return _all_bad(body, DeadReason.UNKNOWN_EVENT, str(error))
    for index, raw in enumerate(body.split(b"\n")):
        if not raw or raw.isspace():
            continue
        try:
            lines.append(Line(index, raw, _event(raw, spec, address, stored, index, read)))
        except BadInput as error:
            bad.append(BadLine(index, raw, error.reason, error.detail))
    return Parsed(tuple(lines), tuple(bad))


def parse_order(body: bytes, *, account: str | None, bot: str, read: Read | None = None) -> OrderRequest:
    """The order asked about at a synchronous door, as `bot`. Raises `BadInput`.

    `account` None: the body must name it (the door then checks it against the token).
    """
    spec = REGISTRY["ORDER_REQUEST"]
    event = _validated(body, spec, Address(account or "", spec.token, bot), read)
    assert isinstance(event, OrderRequest)
    named = account or event.account
    if not named:
        raise BadInput(DeadReason.INVALID, "account: name one of this token's accounts", "account")
    _fill(event, spec, Address(named, spec.token, bot))
    return event


def _all_bad(body: bytes, reason: DeadReason, detail: str) -> Parsed:
    lines = enumerate(body.split(b"\n"))
    return Parsed((), tuple(BadLine(index, raw, reason, detail) for index, raw in lines if raw and not raw.isspace()))


def _spec_of(address: Address) -> EventSpec:
    spec = BY_TOKEN.get(address.event)
    if spec is None:
        raise BadInput(DeadReason.UNKNOWN_EVENT, f"there is no event {address.event!r}")
    return spec


def _event(raw: bytes, spec: EventSpec, address: Address, stored: Provenance | None, index: int, read: Read | None) -> Event:
    event = _validated(raw, spec, address, read)
    _fill(event, spec, address)
    if stored is not None:
        fields = event.__dict__
        if fields["ts"] is None:
            fields["ts"] = stored.at
        if fields["event_id"] is None:
            fields["event_id"] = _given_id(event, stored, index)
    return event


def _validated(raw: bytes, spec: EventSpec, address: Address, read: Read | None) -> Event:
    if len(raw) > LINE_BYTES_MAX:
        raise BadInput(DeadReason.TOO_LARGE, f"{len(raw)} bytes; an event has at most {LINE_BYTES_MAX}")
    event = (read(spec, raw) if read is not None else None) or _read_with_care(raw, spec, address)
    if len(raw) > _ROOMY and isinstance(event, OrderRequest) and len(encode(event)) > ORDER_BYTES_MAX:
        raise BadInput(DeadReason.TOO_LARGE, f"an order has at most {ORDER_BYTES_MAX} bytes, as its decision repeats all of it")
    return event


def _read_with_care(raw: bytes, spec: EventSpec, address: Address) -> Event:
    try:
        return spec.model.model_validate_json(settled(raw, spec.model) if delicate(raw) else raw)
    except NotJson as error:
        raise BadInput(DeadReason.NOT_JSON, f"not JSON: {error}"[:_DETAIL_MAX]) from None
    except ValidationError as error:
        raise _blame(error, raw, spec, address) from None


def _blame(error: ValidationError, raw: bytes, spec: EventSpec, address: Address) -> BadInput:
    """What to say of a line that is no `spec.model`; that it belongs elsewhere explains more than what it lacks there."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return BadInput(DeadReason.NOT_JSON, f"not JSON: {first['msg']}"[:_DETAIL_MAX])
    sent = from_json(raw)
    if isinstance(sent, dict):
        for name, value in _from_subject(spec, address):
            other = sent.get(name)
            if value and isinstance(other, str) and TOKEN.fullmatch(other) and other != value:
                return _mismatch(name, other, value)
    field = ".".join(str(part) for part in first["loc"])[:_DETAIL_MAX] or None
    message = first["msg"].removeprefix("Value error, ")
    return BadInput(DeadReason.INVALID, (f"{field}: {message}" if field else message)[:_DETAIL_MAX], field)


def _from_subject(spec: EventSpec, address: Address) -> tuple[tuple[str, str], ...]:
    return ("event_type", spec.type), ("account", address.account), ("source", address.source)


def _mismatch(name: str, sent: str, wanted: str) -> BadInput:
    return BadInput(DeadReason.SUBJECT_MISMATCH, f"{name}: {sent!r} is not the subject's {wanted!r}", name)


def _fill(event: Event, spec: EventSpec, address: Address) -> None:
    """Take from the subject what the sender left out; refuse what disagrees, and ids that senders may not give.

    The event is still ours alone here, so its frozen fields are set in place.
    """
    fields = event.__dict__
    if fields["event_type"] != spec.type or fields["account"] != address.account or fields["source"] != address.source:
        for name, value in _from_subject(spec, address):
            if fields[name] and fields[name] != value:
                raise _mismatch(name, fields[name], value)
            fields[name] = value
    event_id = fields["event_id"]
    if event_id is not None and event_id.startswith(_RESERVED) and _RESERVED_ID.fullmatch(event_id):
        raise BadInput(DeadReason.INVALID, f"event_id: {event_id!r} is a form the fleet gives out", "event_id")


def _given_id(event: Event, stored: Provenance, index: int) -> str:
    """The id of an event that came without one. A heartbeat stream may reuse sequences, so pid and seq name it."""
    if isinstance(event, Heartbeat) and event.pid is not None and event.seq is not None:
        return f"hb-{event.pid}-{event.seq}"
    return f"{stored.stream}-{stored.seq}-{index}"
