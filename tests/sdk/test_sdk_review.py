"""A signal's review can only shrink its order."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts import Effect, OrderRequest, SignalReview
from fleet_sdk.core.review import apply_review

FLOOR = Decimal("0.25")


def order(qty: str = "1", **more: object) -> OrderRequest:
    return OrderRequest(order_id="o-1", symbol="BTC-PERP", side="BUY", order_type="MARKET", qty=qty, **more)


def review(effect: Effect, factor: str | None = None, **more: object) -> SignalReview:
    return SignalReview(signal_id="s-1", stance="CAUTION", effect=effect, size_factor=factor, **more)


@pytest.mark.parametrize(("factor", "qty"), [("0.5", "0.5"), ("0.1", "0.25"), ("1", "1"), (None, "1")])
def test_resize_multiplies_and_stops_at_the_floor(factor: str | None, qty: str) -> None:
    resized = apply_review(order(), review(Effect.RESIZE, factor), floor=FLOOR)
    assert resized is not None
    assert resized.qty == Decimal(qty)


def test_a_resized_order_fits_the_lot_downwards() -> None:
    resized = apply_review(order("0.7"), review(Effect.RESIZE, "0.5"), floor=FLOOR, lot=Decimal("0.1"))
    assert resized is not None
    assert resized.qty == Decimal("0.3")


def test_an_order_of_less_than_a_lot_is_skipped() -> None:
    assert apply_review(order("0.1"), review(Effect.RESIZE, "0.5"), floor=FLOOR, lot=Decimal("0.1")) is None


def test_skip_skips_and_none_changes_nothing() -> None:
    assert apply_review(order(), review(Effect.SKIP), floor=FLOOR) is None
    assert apply_review(order(), review(Effect.NONE, "0.1"), floor=FLOOR) == order()


def test_a_signal_held_out_and_a_reduction_are_not_touched() -> None:
    assert apply_review(order(), review(Effect.SKIP, holdout=True), floor=FLOOR) == order()
    assert apply_review(order(reduce_only=True), review(Effect.SKIP), floor=FLOOR) == order(reduce_only=True)


@given(
    qty=st.decimals("0.000000000001", "1000000", places=12),
    factor=st.decimals(0, 1, places=6),
    lot=st.sampled_from([None, Decimal("0.001"), Decimal(1)]),
)
def test_it_never_grows(qty: Decimal, factor: Decimal, lot: Decimal | None) -> None:
    resized = apply_review(order(str(qty)), review(Effect.RESIZE, str(factor)), floor=FLOOR, lot=lot)
    assert resized is None or 0 < resized.qty <= qty
