"""Bytes into events. Whatever arrives, `parse` gives events and bad lines; it never raises."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

from pydantic import ValidationError

from fleet_contracts.bot_events import Heartbeat, OrderRequest
from fleet_contracts.envelope import Event
from fleet_contracts.registry import BY_TOKEN, REGISTRY, EventSpec
from fleet_contracts.subjects import Address, SubjectError, split_subject
from fleet_contracts.vocabulary import DeadReason

LINE_BYTES_MAX = 65_536
MESSAGE_BYTES_MAX = 1_000_000
_RESERVED_ID = re.compile(r"(FLEET|HEARTBEAT|MARKET|DEAD|SCHEDULE)-[0-9]+-[0-9]+|hb-[0-9]+-[0-9]+")
_DELICATE = re.compile(rb"NaN|Infinity|[0-9][0-9.]{15,}|[0-9][eE][+-]?[0-9]")
"""Number literals a float does not hold exactly, and what JSON forbids: such a line takes the slow, exact way."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a message is stored, and since when (the stream's time, aware UTC)."""

    stream: str
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A good line; `index` counts from 0, empty lines included. `event` has type, account and source; with a
    provenance also `ts` and `event_id`.
    """

    index: int
    raw: bytes
    event: Event


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


def parse(subject: str, body: bytes, stored: Provenance | None = None) -> Parsed:
    """The events of a message and its bad lines, in order. Never raises."""
    lines: list[Line] = []
    bad: list[BadLine] = []
    try:
        address = split_subject(subject)
        spec = _spec_of(address)
    except (SubjectError, BadInput) as error:
        reason = error.reason if isinstance(error, BadInput) else DeadReason.UNKNOWN_EVENT
        return Parsed((), tuple(BadLine(i, raw, reason, str(error)) for i, raw in enumerate(body.split(b"\n")) if raw))
    for index, raw in enumerate(body.split(b"\n")):
        if not raw or raw.isspace():
            continue
        try:
            event = _event(raw, spec)
            _fill(event, spec, address, stored, index)
            lines.append(Line(index, raw, event))
        except BadInput as error:
            bad.append(BadLine(index, raw, error.reason, error.detail))
    return Parsed(tuple(lines), tuple(bad))


def parse_order(body: bytes, *, account: str | None, bot: str) -> OrderRequest:
    """The order asked about at a synchronous door, as `bot`. Raises `BadInput`.

    `account` None: the body must name it (the door then checks it against the token).
    """
    spec = REGISTRY["ORDER_REQUEST"]
    event = _event(body, spec)
    assert isinstance(event, OrderRequest)
    named = event.account or account
    if not named:
        raise BadInput(DeadReason.INVALID, "account: name one of this token's accounts", "account")
    _fill(event, spec, Address(named if account is None else account, spec.token, bot), None, 0)
    return event


def _spec_of(address: Address) -> EventSpec:
    spec = BY_TOKEN.get(address.event)
    if spec is None:
        raise BadInput(DeadReason.UNKNOWN_EVENT, f"there is no event {address.event!r}")
    return spec


def _event(raw: bytes, spec: EventSpec) -> Event:
    if len(raw) > LINE_BYTES_MAX:
        raise BadInput(DeadReason.TOO_LARGE, f"{len(raw)} bytes; an event has at most {LINE_BYTES_MAX}")
    try:
        if _DELICATE.search(raw):
            return spec.model.model_validate(_exact(raw))
        return spec.model.model_validate_json(raw)
    except ValidationError as error:
        raise _blame(error) from None


def _exact(raw: bytes) -> dict[str, Any]:
    """The line as Python values, every number literal as it was written. Raises `BadInput`."""
    try:
        value = json.loads(raw.decode(), parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise BadInput(DeadReason.NOT_JSON, f"not JSON: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise BadInput(DeadReason.INVALID, "an event is a JSON object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _blame(error: ValidationError) -> BadInput:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or None
    if first["type"] == "json_invalid":
        return BadInput(DeadReason.NOT_JSON, f"not JSON: {first['msg']}"[:300])
    message = first["msg"].removeprefix("Value error, ")
    return BadInput(DeadReason.INVALID, f"{field}: {message}"[:300] if field else message[:300], field)


def _fill(event: Event, spec: EventSpec, address: Address, stored: Provenance | None, index: int) -> None:
    """Take from the subject and the stream what the sender left out; refuse what disagrees.

    The event is still ours alone here, so its frozen fields are set in place.
    """
    fields = event.__dict__
    for name, value in (("event_type", spec.type), ("account", address.account), ("source", address.source)):
        if not fields[name]:
            fields[name] = value
        elif fields[name] != value:
            raise BadInput(DeadReason.SUBJECT_MISMATCH, f"{name}: {fields[name]!r} is not the subject's {value!r}", name)
    if event.event_id is not None and event.event_id.startswith(_RESERVED) and _RESERVED_ID.fullmatch(event.event_id):
        raise BadInput(DeadReason.INVALID, f"event_id: {event.event_id!r} is a form the fleet gives out", "event_id")
    if stored is None:
        return
    if event.ts is None:
        fields["ts"] = stored.at
    if event.event_id is None:
        fields["event_id"] = _given_id(event, stored, index)


_RESERVED = ("FLEET-", "HEARTBEAT-", "MARKET-", "DEAD-", "SCHEDULE-", "hb-")


def _given_id(event: Event, stored: Provenance, index: int) -> str:
    """The id of an event that came without one. A heartbeat stream may reuse sequences, so pid and seq name it."""
    if isinstance(event, Heartbeat) and event.pid is not None and event.seq is not None:
        return f"hb-{event.pid}-{event.seq}"
    return f"{stored.stream}-{stored.seq}-{index}"
