"""Which table keeps an event, and as which columns: derived from the models, so a field cannot be forgotten.

`deploy/questdb/migrations` makes these tables; a test holds the two together.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AwareDatetime

from fleet_contracts import EVENTS, Event
from fleet_contracts.encode import encode_part
from fleet_contracts.envelope import Open

Value = str | int | float | bool | Decimal | datetime
"""What a column takes; absent means NULL."""
NUL, NUL_SHOWN = "\x00", "␀"
"""QuestDB's JSON answers break on a NUL character, so text shows its picture instead."""
META = "meta_json"
"""The column of the fields a model does not know."""
KEEP_DAYS, KEEP_DAYS_HEARTBEATS = 90, 14
TYPED_KEYS = ("ts", "account", "source", "event_id")
EVENT_KEYS = ("ts", "stream", "seq", "line")
RENAMED: Mapping[str, str] = MappingProxyType({"limit": "limit_value"})
"""field → column, where SQL has other plans with the word."""
_SMALL_SETS = frozenset(
    [
        "account",
        "source",
        "symbol",
        "strategy",
        "regime",
        "time_in_force",
        "bot",
        "door",
        "check",
        "ref_price_source",
        "policy",
        "decision",
        "instance",
        "version",
        "profile",
        "kind",
        "command",
        "by",
        "role",
        "requested_by",
        "day",
        "model",
    ]
)
"""Short texts of which there are few: kept as SYMBOL. Ids and free text are VARCHAR."""
_CODED_REASONS = frozenset({"order_decisions", "local_verdicts"})
"""Tables whose `reason` is a code; elsewhere it is what somebody wrote."""
_NO_COLUMN = frozenset({"event_type", "ts"})
"""Said by the table's name, and by the designated timestamp."""


class ColumnType(StrEnum):
    """QuestDB's names of the types in use. Amounts of the contract fit DECIMAL(38,12) exactly."""

    SYMBOL = "SYMBOL"
    VARCHAR = "VARCHAR"
    LONG = "LONG"
    DOUBLE = "DOUBLE"
    BOOLEAN = "BOOLEAN"
    TIMESTAMP = "TIMESTAMP"
    DECIMAL = "DECIMAL(38,12)"


_PLAIN: Mapping[Any, ColumnType] = MappingProxyType(
    {
        int: ColumnType.LONG,
        float: ColumnType.DOUBLE,
        Decimal: ColumnType.DECIMAL,
        datetime: ColumnType.TIMESTAMP,
        AwareDatetime: ColumnType.TIMESTAMP,
    }
)
"""Types whose values a column takes as they are."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, the field it comes from, and how a value that is there becomes the column's (None: as it is)."""

    name: str
    type: ColumnType
    field: str
    convert: Callable[[Any], Value] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its designated timestamp `ts` (not in `columns`). Rows equal in all `keys` are one row."""

    name: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    keep_days: int

    @property
    def types(self) -> dict[str, str]:
        """Column → type, `ts` first."""
        return {"ts": ColumnType.TIMESTAMP.value} | {column.name: column.type.value for column in self.columns}


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def shown(text: str) -> str:
    """Text as a column keeps it."""
    return text.replace(NUL, NUL_SHOWN) if NUL in text else text


def as_json(value: Any) -> str:
    """A part of an event as JSON text: objects and lists of the contract, or whatever a sender put there."""
    if isinstance(value, Open):
        return encode_part(value).decode()
    if isinstance(value, list) and value and isinstance(value[0], Open):
        return f"[{','.join(as_json(item) for item in value)}]"
    return _compact(value)


def _truth(value: bool) -> str:
    """A flag that may be absent: a BOOLEAN column cannot say so, a SYMBOL can."""
    return "true" if value else "false"


def _columns(table: str, model: type[Event]) -> tuple[Column, ...]:
    fields = [_column(table, name, info.annotation) for name, info in model.model_fields.items() if name not in _NO_COLUMN]
    return (*fields, Column(META, ColumnType.VARCHAR, ""))


def _column(table: str, field: str, annotation: Any) -> Column:
    name = RENAMED.get(field, field)
    kinds = _kinds(annotation)
    optional = type(None) in kinds
    kind = next(iter(kinds - {type(None)}))
    if kind is bool:
        return Column(name, ColumnType.SYMBOL, field, _truth) if optional else Column(name, ColumnType.BOOLEAN, field)
    if kind is str:
        small = field in _SMALL_SETS or (field == "reason" and table in _CODED_REASONS)
        return Column(name, ColumnType.SYMBOL if small else ColumnType.VARCHAR, field, shown)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return Column(name, ColumnType.SYMBOL, field, str)
    if kind in _PLAIN:
        return Column(name, _PLAIN[kind], field)
    return Column(name, ColumnType.VARCHAR, field, as_json)


def _kinds(annotation: Any) -> set[Any]:
    """The bare types an annotation allows: alternatives opened, constraints left out, `list[…]` and `dict[…]` as such."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return set().union(*(_kinds(part) for part in get_args(annotation)))
    return {origin or annotation}


def _tables() -> dict[str, Table]:
    tables = {}
    for spec in EVENTS:
        if spec.table is not None:
            keep_days = KEEP_DAYS_HEARTBEATS if spec.table == "heartbeats" else KEEP_DAYS
            tables[spec.type] = Table(spec.table, _columns(spec.table, spec.model), TYPED_KEYS, keep_days)
    return tables


TYPED: Mapping[str, Table] = MappingProxyType(_tables())
"""Event type → the table it is kept in; types that are not here stand in `events` only."""
EVENTS_TABLE = Table(
    "events",
    (
        Column("stream", ColumnType.SYMBOL, "stream"),
        Column("seq", ColumnType.LONG, "seq"),
        Column("line", ColumnType.LONG, "line"),
        Column("subject", ColumnType.SYMBOL, "subject"),
        Column("event_type", ColumnType.SYMBOL, "event_type"),
        Column("event_id", ColumnType.VARCHAR, "event_id"),
        Column("account", ColumnType.SYMBOL, "account"),
        Column("source", ColumnType.SYMBOL, "source"),
        Column("body", ColumnType.VARCHAR, "body"),
    ),
    EVENT_KEYS,
    KEEP_DAYS,
)
"""Every stored line as it came; `ts` is the stream's time."""
ALL: tuple[Table, ...] = (*TYPED.values(), EVENTS_TABLE)
