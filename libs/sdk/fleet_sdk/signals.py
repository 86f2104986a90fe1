"""Signals: what the bot saw before an order, and the second opinion on it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from fleet_contracts import OrderRequest, ReviewSource, SignalContext, SignalReview, Stance
from fleet_contracts.subjects import review_subject
from fleet_sdk.bus import Bus
from fleet_sdk.core.review import apply_review, neutral
from fleet_sdk.settings import BotSettings
from fleet_sdk.voice import Voice, line_of

_STANCES_MAX = 1_000


class Signals:
    """The signal side of a bot. A review that does not come in time has no effect, and is counted."""

    def __init__(self, settings: BotSettings, bus: Bus, voice: Voice) -> None:
        self._settings, self._bus, self._voice = settings, bus, voice
        self._stances: dict[str, Stance] = {}
        self.unreviewed = 0

    def context(
        self, order: OrderRequest, features: Mapping[str, Any], pnl_state: Mapping[str, Any], **more: Any
    ) -> SignalContext:
        """A SIGNAL_CONTEXT out of an order. `more`: decision, model_conf, regime, history … Raises `InvalidEvent`."""
        fields: dict[str, Any] = {
            "signal_id": order.signal_id or self._voice.ids.next(),
            "symbol": order.symbol,
            "side": order.side,
            "size": order.qty,
            "price": order.price or order.reference_price,
            "strategy": order.strategy,
            "order_id": order.order_id,
            "features": dict(features),
            "pnl_state": dict(pnl_state),
            **more,
        }
        context = self._voice.event("SIGNAL_CONTEXT", fields)
        assert isinstance(context, SignalContext)
        return context

    async def review(self, context: SignalContext) -> SignalReview:
        """Ask for a second opinion; without one in time, the neutral one."""
        subject = review_subject(self._settings.account, self._settings.bot)
        body = await self._bus.ask(subject, line_of(context), self._settings.review_deadline_ms / 1000)
        review = _read(body, context)
        if review is None:
            self.unreviewed += 1
            return neutral(context, ReviewSource.TIMEOUT if body is None else ReviewSource.MALFORMED)
        while len(self._stances) >= _STANCES_MAX:
            del self._stances[next(iter(self._stances))]
        self._stances[context.signal_id] = review.stance
        return review

    def reviewed(self, context: SignalContext) -> SignalContext:
        """The context with the stance of its review, if it had one."""
        stance = self._stances.get(context.signal_id)
        return context if context.stance is not None or stance is None else context.model_copy(update={"stance": stance})

    def apply(self, order: OrderRequest, review: SignalReview, lot: Decimal | None) -> OrderRequest | None:
        """The order after its review; None: skip it."""
        return apply_review(order, review, floor=self._settings.review_floor, lot=lot)


def _read(body: bytes | None, context: SignalContext) -> SignalReview | None:
    if body is None:
        return None
    try:
        review = SignalReview.model_validate_json(body)
    except ValidationError:
        return None
    return review if review.signal_id == context.signal_id else None
