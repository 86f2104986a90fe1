"""Making events out of fields: envelope filled in, validated, measured, and handed to the journal."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from fleet_contracts import REGISTRY, Event, OrderRequest, encode, event_subject
from fleet_contracts.parse import LINE_BYTES_MAX, ORDER_BYTES_MAX
from fleet_sdk.core.ids import Ids
from fleet_sdk.errors import InvalidEvent, InvalidOrder, TooLarge
from fleet_sdk.journal import Journal
from fleet_sdk.settings import BotSettings


class Voice:
    """Everything this bot says on its account."""

    def __init__(self, settings: BotSettings, journal: Journal) -> None:
        self._settings, self._journal = settings, journal
        self.ids = Ids(settings.bot, datetime.now(UTC))

    def now(self) -> datetime:
        """The bot's time: the machine's, or the virtual one."""
        virtual = self._settings.virtual_time
        return virtual() if virtual is not None else datetime.now(UTC)

    def event(self, event_type: str, fields: Mapping[str, Any]) -> Event:
        """An event of this bot; `ts` and `event_id` unless given. Raises `InvalidEvent`."""
        envelope = {"event_type": event_type, "account": self._settings.account, "source": self._settings.bot}
        for name, value in envelope.items():
            if fields.get(name, value) != value:
                raise InvalidEvent(f"{name}: {fields[name]!r}, but this bot's is {value!r}", name)
        given = {name: value for name, value in fields.items() if value is not None}
        given.setdefault("ts", self.now())
        given.setdefault("event_id", self.ids.next())
        try:
            return REGISTRY[event_type].model.model_validate(given | envelope)
        except ValidationError as error:
            raise _blame(event_type, error) from None

    def order(self, order: OrderRequest | Mapping[str, Any], **more: object) -> OrderRequest:
        """An order to ask about. Raises `InvalidOrder`."""
        fields = order if isinstance(order, Mapping) else {**order.__dict__, **(order.model_extra or {})}
        given = {name: value for name, value in fields.items() if value != ""}
        try:
            made = self.event("ORDER_REQUEST", {**given, **more})
        except InvalidEvent as error:
            raise InvalidOrder(str(error), error.field) from None
        assert isinstance(made, OrderRequest)
        return made

    def say(self, event: Event, *, reserved: bool = False) -> int:
        """Record an event for the journal; returns its number there. Raises `TooLarge`, `SpoolError`."""
        assert event.event_id is not None
        subject = event_subject(self._settings.account, event.event_type, self._settings.bot)
        return self._journal.record(subject, event.event_id, line_of(event), reserved=reserved)


def line_of(event: Event) -> bytes:
    """The event's line. Raises `TooLarge`, or `InvalidEvent` when it holds what is no JSON."""
    try:
        line = encode(event)
    except (PydanticSerializationError, ValueError) as error:
        raise InvalidEvent(f"{event.event_type}: {error}") from None
    bytes_max = ORDER_BYTES_MAX if isinstance(event, OrderRequest) else LINE_BYTES_MAX
    if len(line) > bytes_max:
        raise TooLarge(f"{event.event_type} of {len(line)} bytes; at most {bytes_max} are taken")
    return line


def _blame(event_type: str, error: ValidationError) -> InvalidEvent:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or None
    message = first["msg"].removeprefix("Value error, ")
    return InvalidEvent(f"{event_type}: {field}: {message}" if field else f"{event_type}: {message}", field)
