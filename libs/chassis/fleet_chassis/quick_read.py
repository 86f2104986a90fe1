"""Reads a usual line into its contract model in a third of pydantic's time; of an unusual one it says that it is not sure.

For every model a msgspec structure is made out of the model's own annotations, and the model's own validators run on what
the structure cannot check. A line is good here only if it is good there, and then equal: a test holds both against each
other. Numbers for amounts (the wire wants strings), unknown fields, lists of parts, odd timestamps and everything wrong
are left to pydantic, which also words the error.
"""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache, lru_cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import AwareDatetime, PlainValidator
from pydantic.fields import FieldInfo
from pydantic_core import from_json

from fleet_contracts.envelope import Event
from fleet_contracts.literals import delicate
from fleet_contracts.registry import EventSpec

_REPEATED = ("event_type", "account", "source", "bot")
"""Names that come in every line: one that has fitted its pattern fits it again."""
_MOMENT = re.compile(r"(?!000[01]|9999)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3}|\.\d{6})?(?:Z|\+00:00)", re.ASCII)
_UNSURE = (msgspec.MsgspecError, ValueError, RecursionError)

Take = Callable[[Any], Any]
"""What is left to do with a value the structure has taken; raises ValueError when it is not sure of it."""


def quick_read(spec: EventSpec, line: bytes) -> Event | None:
    """The event of a line, its fields as they were sent; None when only pydantic can tell."""
    reader = _reader(spec.model)
    try:
        return reader.read(line)
    except _UNSURE:
        return None


class _Reader:
    """Reads the lines of one model. `_late`: defaults that are made anew, or that no take must see."""

    def __init__(self, model: type[Event]) -> None:
        self._model = model
        self._takes: list[tuple[str, Take]] = []
        self._late: list[tuple[str, Callable[[], Any]]] = []
        for name, info in model.model_fields.items():
            _, take = _wire(info.annotation, list(info.metadata))
            if take is not None:
                self._takes.append((name, lru_cache(take) if name in _REPEATED else take))
            if _is_late(info):
                self._late.append((name, info.default_factory or partial(_same, info.default)))  # type: ignore[arg-type]
        self._decode = msgspec.json.Decoder(structure_of(model)).decode
        self._wholes = [whole.func for whole in model.__pydantic_decorators__.model_validators.values()]
        self._set = set(model.model_fields)

    def read(self, line: bytes) -> Event:
        """Raises one of `_UNSURE`."""
        fields = msgspec.structs.asdict(self._decode(line))
        for name, take in self._takes:
            value = fields[name]
            if value is not None:
                fields[name] = take(value)
        for name, default in self._late:
            if fields[name] is None:
                fields[name] = default()
        event = self._model.__new__(self._model)
        put = object.__setattr__  # a frozen model refuses its own
        put(event, "__dict__", fields)
        put(event, "__pydantic_fields_set__", self._set)
        put(event, "__pydantic_extra__", {})
        put(event, "__pydantic_private__", None)
        for whole in self._wholes:
            whole(event)
        return event


def structure_of(model: type[Event]) -> Any:
    """A msgspec structure of the model's fields: amounts and times as text, free content raw, patterns unchecked."""
    fields: list[tuple[str, Any, Any]] = []
    for name, info in model.model_fields.items():
        kind, _ = _wire(info.annotation, list(info.metadata))
        fields.append((name, kind, msgspec.NODEFAULT if info.is_required() else None if _is_late(info) else info.default))
    return msgspec.defstruct(model.__name__, fields, kw_only=True, forbid_unknown_fields=True, gc=False)


def _is_late(info: FieldInfo) -> bool:
    """Its default is made anew, or is one that no take must see."""
    _, take = _wire(info.annotation, list(info.metadata))
    return info.default_factory is not None or (take is not None and not info.is_required() and info.default is not None)


def _same(value: Any) -> Any:
    return value


@cache
def _reader(model: type[Event]) -> _Reader:
    return _Reader(model)


def _wire(annotation: Any, metadata: list[Any]) -> tuple[Any, Take | None]:
    """The structure's type for an annotation, and what is left to do. A type it cannot hold takes no value at all."""
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *more = get_args(annotation)
        return _wire(base, [part for item in more for part in (item.metadata if isinstance(item, FieldInfo) else [item])])
    if origin in (Union, UnionType):
        others = [part for part in get_args(annotation) if part is not NoneType]
        kind, take = _wire(others[0], metadata) if len(others) == 1 else (msgspec.UnsetType, None)
        return (kind if kind is msgspec.Raw else kind | None), take
    if annotation is Decimal:
        exact: Any = next(item.func for item in metadata if isinstance(item, PlainValidator))
        return str, exact
    if annotation in (datetime, AwareDatetime):
        return str, moment
    if annotation in (dict[str, Any], list[dict[str, Any]]):
        return msgspec.Raw, _objects if origin is list else _object
    if annotation in (str, int, float, bool) or (isinstance(annotation, type) and issubclass(annotation, Enum)):
        bounds = _bounds(metadata)
        return (Annotated[annotation, msgspec.Meta(**bounds)] if bounds else annotation), _pattern(metadata)
    return msgspec.UnsetType, None


def _bounds(metadata: list[Any]) -> dict[str, Any]:
    """Constraints as msgspec calls them, but patterns, which cost it more than they need."""
    bounds: dict[str, Any] = {}
    for item in metadata:
        match item:
            case Ge():
                bounds["ge"] = item.ge
            case Le():
                bounds["le"] = item.le
            case MinLen():
                bounds["min_length"] = item.min_length
            case MaxLen():
                bounds["max_length"] = item.max_length
    return bounds


def _pattern(metadata: list[Any]) -> Take | None:
    """Refuses what does not fit the pattern, if there is one."""
    pattern = next((item.pattern for item in metadata if getattr(item, "pattern", None)), None)
    if pattern is None:
        return None
    fits = re.compile(pattern).fullmatch

    def take(text: str) -> str:
        if fits(text) is None or text[-1] == "\n":
            raise ValueError(text)
        return text

    return take


def moment(text: str) -> datetime:
    """UTC as every part of the fleet writes it, or as Python's `isoformat` does; all other forms are pydantic's."""
    if not _MOMENT.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text)


def _object(raw: msgspec.Raw) -> dict[str, Any]:
    """Free content, read as pydantic would; numbers that a float would change are its business too."""
    value = _free(raw)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _objects(raw: msgspec.Raw) -> list[dict[str, Any]]:
    value = _free(raw)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError("not a list of objects")
    return value


def _free(raw: msgspec.Raw) -> Any:
    line = bytes(raw)
    if delicate(line):
        raise ValueError("a number to be read with care")
    return from_json(line)
