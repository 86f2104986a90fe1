"""The envelope every event travels in."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""One token of a subject, or an id."""
Text = Annotated[str, Field(max_length=4096)]


def format_ts(moment: datetime) -> str:
    """RFC 3339, UTC, with microseconds only where there are any: `2026-01-05T10:00:00.123456Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


Moment = Annotated[
    AwareDatetime,
    AfterValidator(lambda moment: moment.astimezone(UTC)),
    PlainSerializer(format_ts, return_type=str, when_used="json"),
]
"""A point in time with its zone; kept and emitted as UTC."""


class Open(BaseModel):
    """A frozen model that keeps the fields it does not know."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Event(Open):
    """What all events share. A bot may leave all of it out: the subject and the stream then fill it in (`parse`)."""

    event_type: Token = ""
    schema_version: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    account: Token = ""
    source: Token = ""
    ts: Moment | None = None
    event_id: Token | None = None
    cause: Annotated[str, Field(max_length=128)] | None = None
