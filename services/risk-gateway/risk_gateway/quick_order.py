"""Reads a usual order for the doors, without making a model of it: every order waits for this.

It takes what the SDK and WIRE's examples send, and of anything else says None: then `parse_order` tells, with its errors. What
it takes, `parse_order` takes too and reads the same; a test holds both against each other.
"""

from decimal import Decimal
from typing import Any

import msgspec

from fleet_chassis.quick_read import moment, structure_of
from fleet_contracts import OrderRequest, OrderType
from fleet_contracts.envelope import TOKEN
from fleet_contracts.money import NOTIONAL_MAX, SIMPLE, ZERO
from risk_gateway.core.decision import Order

BYTES_MAX = 4_096
_decode = msgspec.json.Decoder(structure_of(OrderRequest)).decode
_token, _amount = TOKEN.fullmatch, SIMPLE.fullmatch
_NEEDS = {
    "price": (OrderType.LIMIT, OrderType.STOP_LIMIT),
    "stop_price": (OrderType.STOP_MARKET, OrderType.STOP_LIMIT),
    "reference_price": (),
}
_UNSURE = (msgspec.MsgspecError, ValueError, RecursionError)


def quick_order(body: bytes, account: str | None, bot: str) -> Order | None:
    """The order of a bot; None when only the contract can tell. `account` None: the body must name it."""
    if len(body) > BYTES_MAX:
        return None
    try:
        order = _decode(body)
        if order.event_type is None:
            order.event_type = "ORDER_REQUEST"
        if order.account is None:
            order.account = account
        if order.source is None:
            order.source = bot
        return order if _known(order, account, bot) and _checked(order) else None
    except _UNSURE:
        return None


def _known(order: Any, account: str | None, bot: str) -> bool:
    """It says of itself what the door knows, and carries nothing that takes care."""
    if order.event_type != "ORDER_REQUEST" or order.source != bot or order.account is None:
        return False
    if account is None:
        return bool(_token(order.account)) and order.event_id is None and order.signal_context is None
    return order.account == account and order.event_id is None and order.signal_context is None


def _checked(order: Any) -> bool:
    """Ids and amounts as the contract has them; amounts become decimals."""
    if not _token(order.order_id) or (order.replaces is not None and not _token(order.replaces)):
        return False
    qty = order.qty = _positive(order.qty)
    if order.ts is not None:
        order.ts = moment(order.ts)
    if order.leverage is not None:
        order.leverage = _positive(order.leverage)
    for name in ("price", "stop_price", "reference_price"):
        value = getattr(order, name)
        if value is None:
            if order.order_type in _NEEDS[name]:
                return False
            continue
        price = _positive(value)
        setattr(order, name, price)
        if qty * price >= NOTIONAL_MAX:
            return False
    return True


def _positive(text: str) -> Decimal:
    if _amount(text) is None:
        raise ValueError(text)
    number = Decimal(text)
    if number <= ZERO:
        raise ValueError(text)
    return number
