"""An order at the venue, and what the venue says of it."""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from fleet_contracts import OrderStatus, OrderType, Side
from fleet_contracts.money import ZERO
from quantumedge_sim.fills import Resting

TERMINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED})


@dataclass(slots=True)
class VenueOrder:
    """An order the venue has taken. `active_from`: the number of the first candle that can meet it."""

    order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    reduce_only: bool = False
    time_in_force: str = "GTC"
    active_from: int = 0
    filled: Decimal = ZERO
    fills: int = 0
    triggered_at: int | None = None
    status: OrderStatus = OrderStatus.WORKING

    @property
    def leaves(self) -> Decimal:
        """What may still fill."""
        return ZERO if self.status in TERMINAL else self.qty - self.filled

    @property
    def is_stop(self) -> bool:
        """A stop that nothing has triggered yet."""
        return self.order_type in (OrderType.STOP_MARKET, OrderType.STOP_LIMIT) and self.triggered_at is None

    def resting(self, candle: int, most: Decimal) -> Resting:
        """As the matching sees it in candle number `candle`, for at most `most`."""
        fresh = candle == (self.active_from if self.triggered_at is None else self.triggered_at)
        stop = self.stop_price if fresh and self.triggered_at is not None else None
        return Resting(self.side, self.order_type, min(self.leaves, most), self.price, stop, fresh)

    def dump(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def load(cls, raw: dict[str, Any]) -> Self:
        """An order out of `dump`. Raises KeyError, TypeError, ValueError or ArithmeticError when it is none."""
        return cls(
            order_id=raw["order_id"],
            symbol=raw["symbol"],
            side=Side(raw["side"]),
            order_type=OrderType(raw["order_type"]),
            qty=Decimal(raw["qty"]),
            price=_decimal(raw["price"]),
            stop_price=_decimal(raw["stop_price"]),
            reduce_only=bool(raw["reduce_only"]),
            time_in_force=raw["time_in_force"],
            active_from=int(raw["active_from"]),
            filled=Decimal(raw["filled"]),
            fills=int(raw["fills"]),
            triggered_at=raw["triggered_at"],
            status=OrderStatus(raw["status"]),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What the venue says of an order: the body of an ORDER_EVENT. `number` counts the venue's reports from 1."""

    number: int
    at: datetime
    order_id: str
    status: OrderStatus
    symbol: str
    side: Side
    filled_qty: Decimal
    leaves_qty: Decimal
    last_qty: Decimal | None = None
    last_price: Decimal | None = None
    fee: Decimal | None = None
    fill_id: str | None = None
    liquidity: str | None = None
    slippage_bps: Decimal | None = None
    detail: str | None = None

    def dump(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def load(cls, raw: dict[str, Any]) -> Self:
        """A report out of `dump`; the same errors as `VenueOrder.load`."""
        decimals = ("last_qty", "last_price", "fee", "slippage_bps")
        return cls(
            number=int(raw["number"]),
            at=datetime.fromisoformat(raw["at"]),
            order_id=raw["order_id"],
            status=OrderStatus(raw["status"]),
            symbol=raw["symbol"],
            side=Side(raw["side"]),
            filled_qty=Decimal(raw["filled_qty"]),
            leaves_qty=Decimal(raw["leaves_qty"]),
            fill_id=raw["fill_id"],
            liquidity=raw["liquidity"],
            detail=raw["detail"],
            **{name: _decimal(raw[name]) for name in decimals},
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, datetime) else value


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
