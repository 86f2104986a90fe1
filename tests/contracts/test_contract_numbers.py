"""Numbers: amounts are exactly what was written; everything else is what any JSON reader sees."""

import decimal
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts import Equity, OrderEvent, OrderRequest, Provenance, encode, parse
from fleet_contracts.literals import delicate, settled
from fleet_contracts.money import MONEY, down12, half_even12, product_up, ratio, to_lot_down, up12

STORED = Provenance("FLEET", 7, datetime(2026, 1, 5, tzinfo=UTC))
PRICED = '{"order_id":"o","symbol":"S","side":"BUY","order_type":"LIMIT","qty":"0.000000000001","price":%s}'


def price_of(literal: str) -> Decimal | None:
    parsed = parse("fleet.main.order_request.qe1", (PRICED % literal).encode(), STORED)
    if not parsed.lines:
        return None
    event = parsed.lines[0].event
    assert isinstance(event, OrderRequest)
    return event.price


@pytest.mark.parametrize(
    "literal",
    [
        "0.1",
        "43000.5",
        "1e3",
        "1E+3",
        "12.5e-3",
        "123456789012345.123456789012",
        "999999999999999.999999999999",
        "0.000000000001",
        "1e-12",
        "0.30000000000000004e-4",
        "9007199254740993",
        "9007199254740993.1",
    ],
)
def test_an_amount_is_what_was_written_as_number_and_as_string(literal: str) -> None:
    exact = Decimal(literal)
    fits = exact.adjusted() < 15 and int(exact.as_tuple().exponent) >= -12
    assert price_of(literal) == price_of(f'"{literal}"') == (exact if fits else None)


@given(whole=st.integers(0, 10**16), places=st.text("0123456789", max_size=13), quoted=st.booleans())
def test_any_amount_within_the_digits_is_exact_and_any_other_is_refused(whole: int, places: str, quoted: bool) -> None:
    literal = f"{whole}.{places}" if places else str(whole)
    price = price_of(f'"{literal}"' if quoted else literal)
    exact = Decimal(literal)
    if exact == 0 or whole >= 10**15:
        assert price is None
    elif len(places) <= 12:
        assert price == exact
    else:
        # A fraction sent as a number may lose zeros at its end on the way, never a digit that counts.
        assert price is None or (not quoted and price == exact)


@given(number=st.floats(min_value=1e-4, max_value=1e14))
def test_a_float_as_python_writes_it_is_taken_as_written_or_refused(number: float) -> None:
    price = price_of(json.dumps(number))
    assert price is None or price == Decimal(repr(number))


@pytest.mark.parametrize("zero", ["0", "-0", "0.00", "0e99999999", "0e-99999999", '"0e-99999999"', '"-0"'])
def test_zero_is_zero_whatever_its_exponent(zero: str) -> None:
    """A zero of a hundred million places would fill the memory when written, and trap in exact arithmetic."""
    line = f'{{"order_id":"o","status":"FILLED","fee":{zero}}}'
    event = parse("fleet.main.order_event.qe1", line.encode(), STORED).lines[0].event
    assert isinstance(event, OrderEvent)
    assert event.fee is not None
    with decimal.localcontext(MONEY):
        assert event.fee * event.fee + 1 == 1
    assert json.loads(encode(event))["fee"] == "0"


def test_amounts_inside_positions_are_exact_too() -> None:
    line = b'{"equity": 1, "positions": [{"symbol": "S", "qty": -0.123456789012, "avg_price": 123456789012345.5}]}'
    event = parse("fleet.main.equity.qe1", line, STORED).lines[0].event
    assert isinstance(event, Equity)
    assert event.positions is not None
    assert (event.positions[0].qty, event.positions[0].avg_price) == (Decimal("-0.123456789012"), Decimal("123456789012345.5"))


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)
UNKNOWN = st.dictionaries(
    st.text(min_size=1).filter(lambda name: name not in OrderRequest.model_fields), JSON_VALUES, max_size=4
)


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps({"order_id": "o", "symbol": "S", "side": "BUY", "order_type": "MARKET", "qty": "1"} | fields).encode()


@given(unknown=UNKNOWN, context=st.dictionaries(st.text(), JSON_VALUES, max_size=4))
def test_unknown_fields_and_open_bodies_come_back_as_they_came(unknown: dict[str, Any], context: dict[str, Any]) -> None:
    parsed = parse("fleet.main.order_request.qe1", _line(unknown | {"signal_context": context}), STORED)
    assert not parsed.bad
    again = json.loads(encode(parsed.lines[0].event))
    assert {name: again[name] for name in unknown} == unknown
    assert again["signal_context"] == context


@given(unknown=UNKNOWN)
def test_the_exact_way_and_the_quick_way_see_the_same(unknown: dict[str, Any]) -> None:
    line = _line(unknown)
    assert OrderRequest.model_validate_json(settled(line, OrderRequest)) == OrderRequest.model_validate_json(line)


def test_a_number_too_large_for_any_reader_stays_as_text() -> None:
    line = _line({})[:-1] + b',"x":1e400}'
    assert json.loads(encode(parse("fleet.main.order_request.qe1", line, STORED).lines[0].event))["x"] == "1e400"


@pytest.mark.parametrize(
    "line",
    [
        b'{"content_hash":"0123e4567890abcdef01234567890123","order_id":"1234567890123456789"}',
        b'{"event_id":"0d0e6c2e-6f1b-5f0e-9a44-51f0c3f0a1d7","ts":"2026-01-05T10:00:00.123456Z"}',
        b'{"a":1234567890123456789,"b":0.12,"c":[1.5,2.25],"d":"430.01 USDT"}',
    ],
)
def test_ids_hashes_and_common_numbers_take_the_quick_way(line: bytes) -> None:
    assert not delicate(line)


@pytest.mark.parametrize("number", ["1e5", "1.5E-3 ", "12345678.90123456", "0.1234567890123456\t", "NaN", "-Infinity", "1e400"])
def test_numbers_a_float_may_change_take_the_exact_way(number: str) -> None:
    assert delicate(f'{{"a":[{number}]}}'.encode())
    assert delicate(f'{{"a":{number}}}'.encode())


def test_roundings_go_the_way_their_names_say() -> None:
    third = MONEY.copy()
    third.traps[decimal.Inexact] = False
    value = third.divide(Decimal(1), Decimal(3))
    assert (up12(value), down12(value)) == (Decimal("0.333333333334"), Decimal("0.333333333333"))
    assert (up12(-value), down12(-value)) == (Decimal("-0.333333333333"), Decimal("-0.333333333334"))
    assert half_even12(Decimal("0.0000000000005")) == 0
    assert half_even12(Decimal("0.0000000000015")) == Decimal("0.000000000002")


@given(st.decimals(0, 10**6, places=12), st.decimals(Decimal("0.000000000001"), 10**6, places=12), st.decimals(0, 2, places=12))
def test_a_product_is_rounded_once_and_never_down(a: Decimal, b: Decimal, c: Decimal) -> None:
    with decimal.localcontext(decimal.Context(prec=200)):
        exact = a * b * c
        rounded = product_up(a, b, c)
        assert exact <= rounded < exact + Decimal("1e-12")


@given(st.decimals(0, 10**9, places=12), st.decimals(Decimal("0.000001"), 10**3, places=6))
def test_a_quantity_goes_down_to_whole_lots(quantity: Decimal, lot: Decimal) -> None:
    with decimal.localcontext(decimal.Context(prec=200)):
        lots = to_lot_down(quantity, lot)
        assert lots % lot == 0
        assert lots <= quantity < lots + lot


def test_a_ratio_to_nothing_is_zero() -> None:
    assert ratio(Decimal(5), Decimal(0)) == 0
    assert ratio(Decimal(1), Decimal(3)) == Decimal("0.333333333333")
