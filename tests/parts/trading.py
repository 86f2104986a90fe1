"""Orders, events and set-ups the tests speak in."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from fleet_contracts import AccountClock, OrderRequest, encode, event_subject
from fleet_contracts.registry import REGISTRY
from fleet_contracts.risk_config import AccountRisk
from risk_gateway.core.rules import Setup

RISK: dict[str, Any] = {
    "currency": "USDT",
    "symbols": {
        "BTC-PERP": {"lot": "0.001", "tick": "0.5", "min_qty": "0.001", "max_qty": "10"},
        "ETH-PERP": {"lot": "0.01", "tick": "0.05", "min_qty": "0.01", "max_qty": "100"},
    },
    "limits": {
        "max_daily_loss": {"amount": 500, "pct": 5},
        "max_drawdown": {"soft_pct": 8, "hard_pct": 12},
        "max_order_notional": 5000,
        "max_notional_per_symbol": 10000,
        "max_gross_exposure": 20000,
        "max_leverage": 3,
        "max_open_orders": 20,
        "stale_equity_s": 30,
    },
}


def setup(clock: AccountClock = AccountClock.WALL, **limits: Any) -> Setup:
    """WIRE's risk.yaml, with other limits where named."""
    risk = {**RISK, "limits": {**RISK["limits"], **limits}}
    return Setup(AccountRisk.model_validate(risk), clock, "qe1")


def order(order_id: str, side: str = "BUY", qty: str = "0.01", price: str | None = "40000", **more: Any) -> OrderRequest:
    """A LIMIT order on BTC-PERP (MARKET without a price) of account main."""
    fields = {
        "event_type": "ORDER_REQUEST",
        "account": "main",
        "source": "qe1",
        "order_id": order_id,
        "symbol": "BTC-PERP",
        "side": side,
        "order_type": "LIMIT" if price is not None else "MARKET",
        "qty": Decimal(qty),
        "price": None if price is None else Decimal(price),
    }
    return OrderRequest(**(fields | more))


def bot_event(event_type: str, ts: datetime | None = None, bot: str = "qe1", **fields: Any) -> tuple[str, bytes]:
    """Subject and body of a bot's event."""
    event = REGISTRY[event_type].model(event_type=event_type, account="main", source=bot, ts=ts, **fields)
    return event_subject("main", event_type, bot), encode(event)


def equity(amount: str, ts: datetime | None = None, **more: Any) -> tuple[str, bytes]:
    return bot_event("EQUITY", ts, equity=Decimal(amount), **more)


def fill(order_id: str, fill_id: str, qty: str, price: str, status: str = "PARTIALLY_FILLED", **more: Any) -> tuple[str, bytes]:
    """An ORDER_EVENT with a fill."""
    return bot_event(
        "ORDER_EVENT",
        order_id=order_id,
        status=status,
        last_qty=Decimal(qty),
        last_price=Decimal(price),
        fill_id=fill_id,
        **more,
    )


def done(order_id: str, status: str = "CANCELLED", **more: Any) -> tuple[str, bytes]:
    """An ORDER_EVENT that ends an order."""
    return bot_event("ORDER_EVENT", order_id=order_id, status=status, **more)
