"""Exact amounts: the decimal types of the wire, the one arithmetic context, and the roundings of derived amounts.

Inputs have at most 15 integer and 12 fractional digits; derived amounts at most 18 + 12. A derived amount is rounded once,
when it is made, to 12 places against the order (DESIGN §1, Money).
"""

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
)
from typing import Annotated

from pydantic import Field, PlainSerializer

PLACES = 12
NOTIONAL_MAX = Decimal(10) ** 18
ZERO = Decimal(0)

MONEY = Context(prec=60, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow, Underflow, Clamped])
"""The exact context of `decide` and `evolve`: a result that does not fit raises instead of being rounded in silence."""
_ROUNDING = Context(prec=60, traps=[InvalidOperation, DivisionByZero, Overflow])
_AWAY = Context(prec=60, rounding=ROUND_UP, traps=[InvalidOperation, DivisionByZero, Overflow])
_UNIT = Decimal(1).scaleb(-PLACES)


def plain(amount: Decimal) -> str:
    """An amount as digits, never with an exponent: `Decimal("1E+3")` is `1000`."""
    return format(amount, "f")


_Plain = PlainSerializer(plain, return_type=str, when_used="json")
Amount = Annotated[Decimal, Field(max_digits=27, decimal_places=12, allow_inf_nan=False), _Plain]
"""A signed input amount: at most 15 + 12 digits, finite."""
Price = Annotated[Decimal, Field(gt=0, max_digits=27, decimal_places=12, allow_inf_nan=False), _Plain]
"""A positive price."""
Quantity = Annotated[Decimal, Field(gt=0, max_digits=27, decimal_places=12, allow_inf_nan=False), _Plain]
"""A positive quantity; direction is `side`."""
NotNegative = Annotated[Decimal, Field(ge=0, max_digits=27, decimal_places=12, allow_inf_nan=False), _Plain]
"""An amount that may be zero and not less."""
Derived = Annotated[Decimal, Field(max_digits=30, decimal_places=12, allow_inf_nan=False), _Plain]
"""An amount the fleet made out of inputs: at most 18 + 12 digits."""


def up12(amount: Decimal) -> Decimal:
    """Towards +infinity to 12 places: what counts against an order (notional, hold, fee)."""
    return amount.quantize(_UNIT, ROUND_CEILING, _ROUNDING)


def product_up(*factors: Decimal) -> Decimal:
    """The product of non-negative factors, rounded up once to 12 places; it never raises for the digits of its factors."""
    product = Decimal(1)
    for factor in factors:
        product = _AWAY.multiply(product, factor)
    return up12(product)


def down12(amount: Decimal) -> Decimal:
    """Towards -infinity to 12 places: what an order may use."""
    return amount.quantize(_UNIT, ROUND_FLOOR, _ROUNDING)


def half_even12(amount: Decimal) -> Decimal:
    """To the nearest 12th place: high-water marks."""
    return amount.quantize(_UNIT, ROUND_HALF_EVEN, _ROUNDING)


def to_lot_down(quantity: Decimal, lot: Decimal) -> Decimal:
    """The largest multiple of `lot` that is not above `quantity` (both positive or zero)."""
    lots = _ROUNDING.divide_int(quantity, lot)
    return _ROUNDING.multiply(lots, lot)


def ratio(part: Decimal, whole: Decimal) -> Decimal:
    """`part / whole` to 12 places, for display only; comparisons multiply instead. Zero when `whole` is zero."""
    if whole == 0:
        return ZERO
    return half_even12(_ROUNDING.divide(part, whole))
