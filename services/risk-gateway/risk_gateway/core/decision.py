"""A question about an order, and the decision on it: everything it is judged by, and the verdict."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from fleet_contracts import (
    Decision,
    Fact,
    Mark,
    OrderDecision,
    OrderRequest,
    Reason,
    content_hash,
    derived_id,
    encode,
)
from fleet_contracts.ids import OrderContent
from fleet_contracts.money import ZERO, plain, product_up, reportable, tidy
from risk_gateway.core.orders import Claim, LiveOrder
from risk_gateway.core.rules import ONE
from risk_gateway.core.standing import Standing
from risk_gateway.core.state import SERVICE, OrderKey
from risk_gateway.core.terms import Scope, Terms
from risk_gateway.core.throttles import Throttles, Window, who_sends

REPEATED_ORDER = "repeated_order"
"""The check whose refusal disables; one that only meets somebody disabled does so no more."""
NOT_REPEATED = ("deadline_ms", "after_seq")
"""What a request says to its door only."""


class Order(OrderContent, Protocol):
    """What is read of a request: an OrderRequest, or what a door's quick reader has made of one."""

    @property
    def account(self) -> str: ...
    @property
    def ts(self) -> datetime | None: ...
    @property
    def event_id(self) -> str | None: ...
    @property
    def order_id(self) -> str: ...
    @property
    def reference_price(self) -> Decimal | None: ...
    @property
    def signal_id(self) -> str | None: ...
    @property
    def signal_context(self) -> dict[str, Any] | None: ...
    @property
    def deadline_ms(self) -> int | None: ...
    @property
    def after_seq(self) -> int | None: ...


def sent_fields(order: Order) -> dict[str, Any]:
    """Every field of a request by its name, unknown ones included."""
    if isinstance(order, OrderRequest):
        return {**order.__dict__, **(order.model_extra or {})}
    return {name: getattr(order, name) for name in OrderRequest.model_fields}


@dataclass(slots=True)
class Asked:
    """An order with who asks, at which door, because of which event, and when."""

    order: Order
    bot: str
    door: str
    now: datetime
    cause: str | None = None
    mark: Mark | None = None
    expired: bool = False
    _content: str = ""
    beat_age_s: float | None = None
    """How long ago the bot's newest heartbeat arrived; None when none has. Looked up only where the limits ask for it."""
    shut: Reason | None = None
    """Why the bot may not open now by supervisor.yaml: its mode is off, or these are not its hours."""

    @property
    def key(self) -> OrderKey:
        """With the account, the order's identity."""
        return self.bot, self.order.order_id

    @property
    def content(self) -> str:
        """What makes two requests the same order."""
        if not self._content:
            self._content = content_hash(self.order)
        return self._content


@dataclass(slots=True)
class Refusal:
    """Why an order is denied: the reason, the check, what was measured, against what."""

    reason: Reason
    message: str
    value: Decimal | None = None
    limit: Decimal | None = None


@dataclass(slots=True, eq=False)
class NewDecision:
    """One order and everything it is judged by; then, with `refusal` and `check`, the decision that has to be stored before
    it is answered. Quantities in the symbol's unit, amounts in the account's currency.
    """

    asked: Asked
    order: Order
    standing: Standing
    terms: Terms
    """What the limits say of such an order."""
    throttles: Throttles
    """Which orders came before it: as they stand, not as they stood."""
    room: Decimal
    """R of OP-1."""
    opening: Decimal
    price: Decimal | None
    """The worst price that counts, and where it is from."""
    price_source: str | None
    unit: Decimal
    """What one unit of quantity holds: worst price × contract × (1 + taker fee), rounded up."""
    hold: Decimal
    """What the opening part holds: its quantity × unit, rounded up."""
    new: Decimal
    """What the order would add to the exposure: its hold, less that of an order it replaces."""
    symbol_exposure: Decimal
    gross: Decimal
    """The account's gross exposure with this order."""
    open_orders: int
    """Live orders beside this one; of its bot, and of its strategy."""
    bot_orders: int
    strategy_orders: int
    unpriced: Collection[str]
    """Symbols with a position and no price."""
    replaced_filled: Decimal | None
    """How much had filled of the order it was judged as a modify of."""
    collar_price: Decimal | None
    """CO-1: the fresh price that the order's own is held against; None without a collar, or without such a price."""
    key: OrderKey
    id_hash: int
    refusal: Refusal | None = None
    check: str | None = None
    windows: Sequence[Window] | None = None
    """What it would count in over time, where a check has worked that out."""

    @property
    def reason(self) -> Reason:
        """OK for an ALLOW."""
        return Reason.OK if self.refusal is None else self.refusal.reason

    @property
    def order_notional(self) -> Decimal:
        """The whole order at the price that counts, without fee."""
        if self.price is None:
            return ZERO
        return product_up(self.order.qty, self.price, self.terms.contract)

    def said(self, what: str, value: Decimal, verb: str, limit: Decimal) -> str:
        """`order notional 430.01 USDT is over the limit of 400 USDT`."""
        currency = self.standing.rules.risk.currency
        return f"{what} {plain(value.normalize())} {currency} {verb} {plain(limit.normalize())} {currency}"

    @property
    def event_id(self) -> str:
        """Derived from the order: deciding twice is deciding once. A conflict has an id for every content."""
        extra = self.asked.content if self.reason is Reason.IDEMPOTENCY_CONFLICT else ""
        return derived_id(self.order.account, self.asked.bot, self.order.order_id, "ORDER_DECISION", extra)

    @property
    def valid_until(self) -> datetime:
        return self.asked.now + self.standing.rules.valid

    @property
    def fact(self) -> Fact:
        """The decision as it is stored, written by the contract. (The gateway's doors write the same bytes quicker.)"""
        event = self.event()
        return Fact(event, encode(event), str(event.event_id), told=self)

    @property
    def disables(self) -> Scope | None:
        """Whom it disables (TH-2)."""
        return who_sends(self.asked.bot, self.order.strategy) if self.check == REPEATED_ORDER else None

    def event(self) -> OrderDecision:
        """Every field of the request, every input that was used, the verdict."""
        order, refusal = self.order, self.refusal
        fields = {
            **sent_fields(order),
            "event_type": "ORDER_DECISION",
            "schema_version": 1,
            "source": SERVICE,
            "ts": self.asked.now,
            "event_id": self.event_id,
            "cause": self.asked.cause or order.order_id,
            "bot": self.asked.bot,
            "door": self.asked.door,
            "decision": Decision.DENY if refusal else Decision.ALLOW,
            "reason": self.reason,
            "message": refusal.message if refusal else None,
            "check": self.check,
            "value": reportable(refusal.value) if refusal else None,
            "limit": reportable(refusal.limit) if refusal else None,
            "allowed_qty": ZERO if refusal else order.qty,
            "opening_qty": self.opening,
            "hold_price": self.price,
            "hold_unit": tidy(self.unit),
            "reserved_notional": ZERO if refusal else tidy(self.hold),
            "replaced_filled": self.replaced_filled,
            "valid_until": self.valid_until,
            "trading_state": self.standing.trading_state,
            "size_factor": ONE,
            "ref_price": self.price,
            "ref_price_source": self.price_source,
            "equity_event": self.standing.equity_event,
            "limits_revision": self.standing.rules.revision,
            "content_hash": self.asked.content,
            "duplicate": False,
            "collar_price": reportable(self.collar_price),
        }
        for name in NOT_REPEATED:
            del fields[name]
        return OrderDecision.model_construct(**fields)

    def reservation(self) -> LiveOrder:
        """What its ALLOW holds: the very order that `order_of` makes of the written decision."""
        order, asked = self.order, self.asked
        held = LiveOrder(
            asked.bot,
            order.order_id,
            order.symbol,
            order.side,
            order.qty,
            order.qty,
            self.opening,
            tidy(self.unit),
            self.price,
            asked.now,
            self.valid_until,
            order.strategy,
            order.replaces if self.replaced_filled is not None else None,
            0,
            0,
        )
        held.untouched = Claim(order.qty, self.opening, self.hold)
        return held
