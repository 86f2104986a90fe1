"""Reads a usual order for the doors, without making a model of it: every order waits for this.

It takes what the SDK and WIRE's examples send, and of anything else says None: then `parse_order` tells, with its errors. What
it takes, `parse_order` takes too and reads the same; a test holds both against each other.
"""

from typing import Any

import msgspec

from fleet_chassis.quick_read import moment, structure_of
from fleet_contracts import OrderRequest
from fleet_contracts.bot_events import check_prices
from fleet_contracts.envelope import TOKEN
from fleet_contracts.money import positive
from risk_gateway.core.decision import Order

BYTES_MAX = 4_096
_decode = msgspec.json.Decoder(structure_of(OrderRequest)).decode
_token = TOKEN.fullmatch
_AMOUNTS = ("price", "stop_price", "reference_price", "leverage")
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
    if order.event_type != "ORDER_REQUEST" or order.source != bot or order.event_id is not None:
        return False
    if order.account is None or order.signal_context is not None:
        return False
    return order.account == account if account is not None else bool(_token(order.account))


def _checked(order: Any) -> bool:
    """Ids and amounts as the contract has them; amounts become decimals. Raises ValueError."""
    if not _token(order.order_id) or (order.replaces is not None and not _token(order.replaces)):
        return False
    order.qty = positive(order.qty)
    for name in _AMOUNTS:
        text = getattr(order, name)
        if text is not None:
            setattr(order, name, positive(text))
    if order.ts is not None:
        order.ts = moment(order.ts)
    check_prices(order)
    return True
