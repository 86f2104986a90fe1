"""Numbers exactly as they were written.

pydantic reads JSON quickly, but a fraction becomes a binary float on its way to a Decimal, and the words NaN and Infinity
pass where any value is allowed. A float gives back up to 15 digits unharmed, so few lines need care: `delicate` finds them,
`settled` rewrites such a line so that the quick reader then sees every amount as text.
"""

import json
import math
import re
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin

from pydantic_core import from_json, to_json

from fleet_contracts.envelope import Open

_SHAPE = bytes.maketrans(b"123456789E+ \t\r\n}]", b"000000000e-,,,,,,")
"""What a line looks like: every digit a 0, every exponent an e, every end of a number a comma. Ends of strings stay."""
_EXPONENT = re.compile(rb"0e-?0+,")
_TAIL = re.compile(rb"\.000000000*,")
_HEAD = re.compile(rb"00000000\.0+,")
_LONG = re.compile(rb"[0.]{16},")


class NotJson(ValueError):
    """The line is no JSON."""


class _Written(str):
    """A number literal with a fraction or an exponent."""

    __slots__ = ()


def delicate(line: bytes) -> bool:
    """Whether a line may hold a number that a float would change, or a word that is no JSON number."""
    if b"NaN" in line or b"Infinity" in line:
        return True
    shape = line.translate(_SHAPE)
    if _EXPONENT.search(shape):
        return True
    # Sixteen characters with a point have eight digits on one side of it: two quick looks save most lines the slow one.
    return bool(_TAIL.search(shape) or _HEAD.search(shape)) and _LONG.search(shape) is not None


def settled(line: bytes, model: type[Open]) -> bytes:
    """The line with the amounts of `model` as strings and every other number as any JSON reader sees it.

    Raises `NotJson`: NaN, infinity, nesting beyond 200, lone surrogates, and whole numbers of thousands of digits included.
    """
    try:
        from_json(line, allow_inf_nan=False)
        value = json.loads(line, parse_float=_Written, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)[:200]) from None
    return to_json(_settle(value, model))


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _settle(value: Any, model: type[Open] | None, amount: bool = False) -> Any:
    """`model`: what the value is validated as, None where anything goes; `amount`: a number here is an exact one."""
    match value:
        case _Written():
            return str(value) if amount else _as_float(value)
        case dict():
            amounts, parts = _fields(model) if model else (frozenset[str](), {})
            return {name: _settle(item, parts.get(name), name in amounts) for name, item in value.items()}
        case list():
            return [_settle(item, model) for item in value]
        case _:
            return value


def _as_float(written: str) -> float | str:
    """A number too large for a float stays as it was written, as text."""
    number = float(written)
    return str(written) if math.isinf(number) else number


@cache
def _fields(model: type[Open]) -> tuple[frozenset[str], dict[str, type[Open]]]:
    """The amounts of a model, and its fields that are models themselves (or lists of them)."""
    amounts: set[str] = set()
    parts: dict[str, type[Open]] = {}
    for name, field in model.model_fields.items():
        for kind in _kinds(field.annotation):
            if kind is Decimal:
                amounts.add(name)
            elif isinstance(kind, type) and issubclass(kind, Open):
                parts[name] = kind
    return frozenset(amounts), parts


def _kinds(annotation: Any) -> list[Any]:
    """The bare types an annotation speaks of: alternatives and lists opened, constraints left out."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin in (Union, UnionType, list):
        return [kind for part in get_args(annotation) for kind in _kinds(part)]
    return [annotation]
