"""Derived ids: the same cause always gives the same id, so doing a thing twice is doing it once."""

import hashlib
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from fleet_contracts.money import plain
from fleet_contracts.vocabulary import OrderType, Side

NAMESPACE = UUID("3d8e7c2e-6f1b-5f0e-9a44-51f0c3f0a1d7")
"""The fleet's own UUIDv5 name space. It never changes."""
_PREFIX = NAMESPACE.bytes


class OrderContent(Protocol):
    """The fields that make an order what it is."""

    @property
    def symbol(self) -> str: ...
    @property
    def side(self) -> Side: ...
    @property
    def order_type(self) -> OrderType: ...
    @property
    def qty(self) -> Decimal: ...
    @property
    def price(self) -> Decimal | None: ...
    @property
    def stop_price(self) -> Decimal | None: ...
    @property
    def reduce_only(self) -> bool: ...
    @property
    def time_in_force(self) -> str | None: ...
    @property
    def leverage(self) -> Decimal | None: ...
    @property
    def strategy(self) -> str | None: ...
    @property
    def position_id(self) -> str | None: ...
    @property
    def replaces(self) -> str | None: ...


def derived_id(account: str, source: str, cause: str, event_type: str, extra: str = "") -> str:
    """The id of the event that `cause` (an event_id or an order_id) calls for. `extra` tells several of one type apart."""
    name = f"{account}/{source}/{cause}/{event_type}"
    return _uuid5(f"{name}/{extra}" if extra else name)


def _uuid5(name: str) -> str:
    """`str(uuid.uuid5(NAMESPACE, name))` in a third of its time (RFC 9562 §5.5): every order waits for one."""
    text = hashlib.sha1(_PREFIX + name.encode(), usedforsecurity=False).hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def content_hash(order: OrderContent) -> str:
    """What makes two requests the same order: 32 hex digits over WIRE's content fields, decimals normalised."""
    content = (
        f"symbol={order.symbol}\x00side={order.side}\x00order_type={order.order_type}\x00qty={_normal(order.qty)}\x00"
        f"price={_normal(order.price)}\x00stop_price={_normal(order.stop_price)}\x00reduce_only={order.reduce_only}\x00"
        f"time_in_force={order.time_in_force}\x00leverage={_normal(order.leverage)}\x00strategy={order.strategy}\x00"
        f"position_id={order.position_id}\x00replaces={order.replaces}\x00"
    )
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _normal(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount.normalize())
