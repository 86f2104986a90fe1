"""What a signal's review does to its order: it can only shrink it (SPEC L2), once, before the risk check."""

from decimal import Decimal

from fleet_contracts import Effect, OrderRequest, ReviewSource, SignalContext, SignalReview, Stance
from fleet_contracts.money import down12, to_lot_down

_ONE = Decimal(1)


def neutral(context: SignalContext, why: ReviewSource) -> SignalReview:
    """The review of nobody: no effect."""
    return SignalReview(
        event_type="SIGNAL_REVIEW",
        account=context.account,
        source="signal-reviewer",
        signal_id=context.signal_id,
        stance=Stance.OK,
        effect=Effect.NONE,
        size_factor=_ONE,
        applied=False,
        review_source=why,
    )


def apply_review(
    order: OrderRequest, review: SignalReview, *, floor: Decimal, lot: Decimal | None = None
) -> OrderRequest | None:
    """The order as it may be asked about: unchanged, smaller (to the lot, downwards), or None: skip this signal.

    The factor lies in [floor, 1] whatever the review says; a reduction is never touched, nor is a signal held out.
    """
    if order.reduce_only or review.holdout or review.effect is Effect.NONE:
        return order
    if review.effect is Effect.SKIP:
        return None
    factor = min(_ONE, max(floor, review.size_factor if review.size_factor is not None else _ONE))
    qty = down12(order.qty * factor)
    if lot is not None:
        qty = to_lot_down(qty, lot)
    return order.model_copy(update={"qty": qty}) if qty > 0 else None
