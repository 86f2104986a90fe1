"""The envelope every event travels in."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""One token of a subject, or an id."""
Text = str
"""Free text; only the length of the line bounds it."""
Count = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
"""A whole number that a 64-bit column holds."""
Flag = Annotated[bool, Field(strict=True)]
"""`true` or `false`, nothing that merely looks like it."""
_YEAR_MIN, _YEAR_MAX = 2, 9998


def format_ts(moment: datetime) -> str:
    """RFC 3339, UTC, with microseconds only where there are any: `2026-01-05T10:00:00.123456Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat()[:-6]}Z"


def _written(moment: Any) -> Any:
    """A number is no timestamp, whether quoted or not: nobody can tell its unit."""
    if isinstance(moment, datetime) or (isinstance(moment, str) and moment[4:5] == "-"):
        return moment
    raise ValueError("not an RFC 3339 timestamp like 2026-01-05T10:00:00.123456Z")


def _utc(moment: datetime) -> datetime:
    """A year inside the calendar at both ends, so that adding a validity or a zone cannot leave it."""
    if not _YEAR_MIN <= moment.year <= _YEAR_MAX:
        raise ValueError(f"the year {moment.year} is out of range")
    return moment.astimezone(UTC)


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_written),
    AfterValidator(_utc),
    PlainSerializer(format_ts, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A point in time with its zone; kept and emitted as UTC. Digits beyond microseconds are cut off."""


_ABSENT = object()
_Blank = tuple[dict[str, Any], tuple[str, ...], tuple[tuple[str, Callable[[], Any]], ...]]


@cache
def _blank(model: type[BaseModel]) -> _Blank:
    """Every field of a model in order with its default; which have none; which are made anew each time."""
    fields = model.model_fields
    factories = {name: field.default_factory for name, field in fields.items() if field.default_factory is not None}
    blank = {
        name: _ABSENT if field.is_required() or name in factories else field.get_default() for name, field in fields.items()
    }
    required = tuple(name for name, field in fields.items() if field.is_required())
    return blank, required, tuple(factories.items())  # type: ignore[arg-type]  # none of ours takes the validated data


class Open(BaseModel):
    """A frozen model that keeps the fields it does not know."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, /, **values: Any) -> Self:  # type: ignore[override]
        """Unchecked, out of fields known to be right. Unlike pydantic's own it takes unknown fields of any name (`cls` too),
        and costs a decision little: it stands in the way of every order.
        """
        blank, required, factories = _blank(cls)
        fields = blank | values  # the model's own come first, in its order; what is left behind them is unknown
        extra = {name: fields.pop(name) for name in list(fields)[len(blank) :]}
        for name in required:
            if fields[name] is _ABSENT:
                del fields[name]
        for name, make in factories:
            if fields[name] is _ABSENT:
                fields[name] = make()
        made = cls.__new__(cls)
        put = object.__setattr__  # a frozen model refuses its own
        put(made, "__dict__", fields)
        put(made, "__pydantic_fields_set__", set(values) if _fields_set is None else _fields_set)
        put(made, "__pydantic_extra__", extra)
        put(made, "__pydantic_private__", None)
        return made


class Event(Open):
    """What all events share. A bot may leave all of it out: the subject and the stream then fill it in (`parse`)."""

    event_type: Token = ""
    schema_version: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 1
    account: Token = ""
    source: Token = ""
    ts: Moment | None = None
    event_id: Token | None = None
    cause: Annotated[str, Field(max_length=128)] | None = None
