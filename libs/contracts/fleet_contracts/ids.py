"""Derived ids: the same cause always gives the same id, so doing a thing twice is doing it once."""

import hashlib
from decimal import Decimal
from uuid import UUID, uuid5

from fleet_contracts.bot_events import OrderFields

NAMESPACE = UUID("3d8e7c2e-6f1b-5f0e-9a44-51f0c3f0a1d7")
"""The fleet's own UUIDv5 name space. It never changes."""
_CONTENT = (
    "symbol",
    "side",
    "order_type",
    "qty",
    "price",
    "stop_price",
    "reduce_only",
    "time_in_force",
    "leverage",
    "strategy",
    "position_id",
    "replaces",
)


def derived_id(account: str, source: str, cause: str, event_type: str, extra: str = "") -> str:
    """The id of the event that `cause` (an event_id or an order_id) calls for. `extra` tells several of one type apart."""
    name = "/".join((account, source, cause, event_type))
    return str(uuid5(NAMESPACE, f"{name}/{extra}" if extra else name))


def content_hash(order: OrderFields) -> str:
    """What makes two requests the same order: 32 hex digits over WIRE's content fields, decimals normalised."""
    digest = hashlib.blake2b(digest_size=16)
    for name in _CONTENT:
        value = getattr(order, name)
        if isinstance(value, Decimal):
            value = format(value.normalize(), "f")
        digest.update(f"{name}={value}\x00".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
