"""Exact amounts: the decimal types of the wire, the one arithmetic context, and the roundings of derived amounts.

Inputs have at most 15 integer and 12 fractional digits; derived amounts at most 18 + 12. A derived amount is rounded once,
when it is made, to 12 places against the order (DESIGN §1, Money).
"""

import re
from collections.abc import Callable
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ROUND_UP,
    Clamped,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    Underflow,
    getcontext,
    setcontext,
)
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

P = ParamSpec("P")
T = TypeVar("T")
PLACES = 12
WHOLE = 15
WHOLE_DERIVED = 18
NOTIONAL_MAX = Decimal(10) ** 18
ZERO = Decimal(0)

MONEY = Context(prec=60, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow, Underflow, Clamped])
"""The exact context of `decide` and `evolve`: a result that does not fit raises instead of being rounded in silence."""
_SIMPLE = re.compile(rf"-?[0-9]{{1,{WHOLE}}}(?:\.[0-9]{{1,{PLACES}}})?")
_NUMERAL = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,9})?")
_ROUNDING = Context(prec=60, traps=[InvalidOperation, DivisionByZero, Overflow])
_AWAY = Context(prec=60, rounding=ROUND_UP, traps=[InvalidOperation, DivisionByZero, Overflow])
_ONE = Decimal(1)
_UNIT = _ONE.scaleb(-PLACES)


def plain(amount: Decimal) -> str:
    """An amount as digits, never with an exponent: `Decimal("1E+3")` is `1000`."""
    text = str(amount)
    return text if "E" not in text else format(amount, "f")


def _exactly(value: Any, whole_max: int) -> Decimal:
    """The long way: any number or numeral, its digits counted; zero and round thousands without their exponents."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError("must be a decimal, as a string or a number")
    numeral = float.__repr__(value) if isinstance(value, float) else str(value)
    if not _NUMERAL.fullmatch(numeral):
        raise ValueError("is not a finite decimal number")
    number = Decimal(numeral)
    if not number:
        return ZERO
    if number.adjusted() >= whole_max:
        raise ValueError(f"at most {whole_max} digits before the point")
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -PLACES:
        raise ValueError(f"at most {PLACES} digits after the point")
    return number if exponent <= 0 else number.quantize(_ONE, context=_ROUNDING)


def _input(value: Any) -> Decimal:
    if type(value) is str and _SIMPLE.fullmatch(value):
        return Decimal(value) or ZERO
    return _exactly(value, WHOLE)


def positive(value: Any) -> Decimal:
    """An input amount over zero, as the wire may write it. Raises ValueError."""
    number = Decimal(value) if type(value) is str and _SIMPLE.fullmatch(value) else _exactly(value, WHOLE)
    if number <= ZERO:
        raise ValueError("must be greater than 0")
    return number


def _not_negative(value: Any) -> Decimal:
    number = Decimal(value) or ZERO if type(value) is str and _SIMPLE.fullmatch(value) else _exactly(value, WHOLE)
    if number < ZERO:
        raise ValueError("must not be negative")
    return number


def _fraction(value: Any) -> Decimal:
    number = _input(value)
    if not 0 <= number <= 1:
        raise ValueError("must lie in 0 … 1")
    return number


def _derived(value: Any) -> Decimal:
    if type(value) is str and _SIMPLE.fullmatch(value):
        return Decimal(value) or ZERO
    return _exactly(value, WHOLE_DERIVED)


def _schema(whole: int, sign: str = "", **bounds: int) -> WithJsonSchema:
    pattern = f"^{sign}[0-9]{{1,{whole}}}(\\.[0-9]{{1,{PLACES}}})?$"
    return WithJsonSchema({"anyOf": [{"type": "string", "pattern": pattern}, {"type": "number", **bounds}]})


_Plain = PlainSerializer(plain, return_type=str, when_used="json")
Amount = Annotated[Decimal, PlainValidator(_input), _Plain, _schema(WHOLE, "-?")]
"""A signed input amount: at most 15 + 12 digits, finite."""
Price = Annotated[Decimal, PlainValidator(positive), _Plain, _schema(WHOLE, exclusiveMinimum=0)]
"""A positive price."""
Quantity = Annotated[Decimal, PlainValidator(positive), _Plain, _schema(WHOLE, exclusiveMinimum=0)]
"""A positive quantity; direction is `side`."""
NotNegative = Annotated[Decimal, PlainValidator(_not_negative), _Plain, _schema(WHOLE, minimum=0)]
"""An amount that may be zero and not less."""
Factor = Annotated[Decimal, PlainValidator(_fraction), _Plain, _schema(1, minimum=0, maximum=1)]
"""A factor in 0 … 1: it can only shrink."""
Derived = Annotated[Decimal, PlainValidator(_derived), _Plain, _schema(WHOLE_DERIVED, "-?")]
"""An amount the fleet made out of inputs: at most 18 + 12 digits."""


def exactly(work: Callable[P, T]) -> Callable[P, T]:
    """A function that runs under `MONEY`, whoever calls it. (`localcontext` would do; it copies, and costs twice as much.)"""

    @wraps(work)
    def run(*args: P.args, **more: P.kwargs) -> T:
        before = getcontext()
        setcontext(MONEY)
        try:
            return work(*args, **more)
        finally:
            setcontext(before)

    return run


def up12(amount: Decimal) -> Decimal:
    """Towards +infinity to 12 places: what counts against an order (notional, hold, fee)."""
    return amount.quantize(_UNIT, ROUND_CEILING, _ROUNDING)


def product_up(one: Decimal, other: Decimal, third: Decimal = _ONE) -> Decimal:
    """The product of non-negative factors, rounded up once to 12 places; it never raises for the digits of its factors."""
    product = _AWAY.multiply(one, other)
    if third is not _ONE:
        product = _AWAY.multiply(product, third)
    return product.quantize(_UNIT, ROUND_CEILING, _ROUNDING)


def down12(amount: Decimal) -> Decimal:
    """Towards -infinity to 12 places: what an order may use."""
    return amount.quantize(_UNIT, ROUND_FLOOR, _ROUNDING)


def half_even12(amount: Decimal) -> Decimal:
    """To the nearest 12th place: high-water marks."""
    return amount.quantize(_UNIT, ROUND_HALF_EVEN, _ROUNDING)


def tidy(amount: Decimal) -> Decimal:
    """The same amount without trailing zeros, and without an exponent."""
    amount = amount.normalize(_AWAY)
    return amount if "E+" not in str(amount) else amount.quantize(_ONE, context=_AWAY)


def reportable(amount: Decimal | None) -> Decimal | None:
    """A derived amount as an event carries it, up to 12 places; None for one of more digits than the wire has."""
    if amount is None or abs(amount) >= NOTIONAL_MAX:
        return None
    return tidy(up12(amount))


def to_lot_down(quantity: Decimal, lot: Decimal) -> Decimal:
    """The largest multiple of `lot` that is not above `quantity` (both positive or zero)."""
    lots = _ROUNDING.divide_int(quantity, lot)
    return _ROUNDING.multiply(lots, lot)


def ratio(part: Decimal, whole: Decimal) -> Decimal:
    """`part / whole` to 12 places, for display only; comparisons multiply instead. Zero when `whole` is zero."""
    if whole == 0:
        return ZERO
    return half_even12(_ROUNDING.divide(part, whole))
