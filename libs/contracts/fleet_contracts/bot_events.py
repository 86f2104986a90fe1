"""The events a bot publishes: `fleet.<account>.<event>.<bot>`. Amounts are in the account's currency unless said."""

from decimal import Decimal
from typing import Annotated, Any, Protocol, Self

from pydantic import ConfigDict, Field, model_validator

from fleet_contracts.envelope import Count, Event, Flag, Moment, Open, Text, Token
from fleet_contracts.money import NOTIONAL_MAX, Amount, NotNegative, Price, Quantity
from fleet_contracts.vocabulary import AckState, Decision, Mode, OrderStatus, OrderType, Side, Stance

Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
"""A probability or a fraction."""
Symbol = Annotated[str, Field(min_length=1, max_length=64)]
_PRICED = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_STOPPED = (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)


class OrderFields(Event):
    """What describes an order, asked about, decided, or answered locally. `qty` is in the symbol's unit."""

    order_id: Token
    symbol: Symbol
    side: Side
    order_type: OrderType
    qty: Quantity
    price: Price | None = None
    stop_price: Price | None = None
    reduce_only: Flag = False
    time_in_force: Annotated[str, Field(max_length=16)] | None = None
    leverage: Price | None = None
    reference_price: Price | None = None
    strategy: Annotated[str, Field(max_length=64)] | None = None
    position_id: Annotated[str, Field(max_length=64)] | None = None
    replaces: Token | None = None
    signal_id: Annotated[str, Field(max_length=64)] | None = None
    signal_context: dict[str, Any] | None = None


class Priced(Protocol):
    """What `check_prices` reads."""

    @property
    def order_type(self) -> OrderType: ...
    @property
    def qty(self) -> Decimal: ...
    @property
    def price(self) -> Decimal | None: ...
    @property
    def stop_price(self) -> Decimal | None: ...
    @property
    def reference_price(self) -> Decimal | None: ...


def check_prices(order: Priced) -> None:
    """Raise ValueError when an order lacks a price its type needs, or is worth 1e18 or more."""
    if order.order_type in _PRICED and order.price is None:
        raise ValueError(f"price is required for {order.order_type}")
    if order.order_type in _STOPPED and order.stop_price is None:
        raise ValueError(f"stop_price is required for {order.order_type}")
    for price in (order.price, order.stop_price, order.reference_price):
        if price is not None and order.qty * price >= NOTIONAL_MAX:
            raise ValueError("the notional is 1e18 or more")


class OrderRequest(OrderFields):
    """An order before it is sent. Answered within `request_ttl_ms` when it is an event, `deadline_ms` at a door.

    `price` is required for LIMIT and STOP_LIMIT, `stop_price` for STOP_MARKET and STOP_LIMIT.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "if": {"properties": {"order_type": {"enum": [*kinds]}}, "required": ["order_type"]},
                    "then": {"properties": {name: {"not": {"type": "null"}}}, "required": [name]},
                }
                for name, kinds in (("price", _PRICED), ("stop_price", _STOPPED))
            ]
        }
    )

    deadline_ms: Annotated[int, Field(strict=True, ge=1, le=60_000)] | None = None
    after_seq: Count | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        check_prices(self)
        return self


class OrderEvent(Event):
    """What became of an allowed order. Fills are identified by `fill_id`; repeats and any order of arrival are normal."""

    order_id: Token
    status: OrderStatus
    symbol: Symbol | None = None
    side: Side | None = None
    last_qty: NotNegative | None = None
    last_price: NotNegative | None = None
    filled_qty: NotNegative | None = None
    leaves_qty: NotNegative | None = None
    fee: Amount | None = None
    fill_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    detail: Text | None = None


class Trade(Event):
    """A closed round trip. `pnl` is net of `fee`."""

    symbol: Symbol
    side: Side
    price: Price
    qty: Quantity
    pnl: Amount
    order_id: Token | None = None
    position_id: Annotated[str, Field(max_length=64)] | None = None
    fee: Amount | None = None
    strategy: Annotated[str, Field(max_length=64)] | None = None
    opened_at: Moment | None = None
    close_reason: Text | None = None
    slippage_bps: Amount | None = None
    regime: Annotated[str, Field(max_length=64)] | None = None


class Position(Open):
    """A position as the venue shows it; `qty` is signed."""

    symbol: Symbol
    qty: Amount
    avg_price: NotNegative | None = None
    mark_price: NotNegative | None = None
    liquidation_price: NotNegative | None = None


class Equity(Event):
    """The whole account as the venue shows it. `priced: false`: not every position could be valued, the figure is untrusted.

    `net_deposits` is cumulative; a deposit or withdrawal is a change of it.
    """

    equity: Amount
    balance: Amount | None = None
    realized_pnl: Amount | None = None
    unrealized_pnl: Amount | None = None
    drawdown: Amount | None = None
    regime: Annotated[str, Field(max_length=64)] | None = None
    net_deposits: Amount | None = None
    priced: Flag = True
    positions: list[Position] | None = None


class Mark(Event):
    """A symbol's prices now, for collars and market orders."""

    symbol: Symbol
    bid: Price | None = None
    ask: Price | None = None
    mark: Price | None = None
    last: Price | None = None


class SignalContext(Event):
    """What the bot saw before an order. `model_conf` lies in [0, 1]; `stance` is set once it has been reviewed."""

    signal_id: Token
    symbol: Symbol
    side: Side | None = None
    size: NotNegative | None = None
    price: NotNegative | None = None
    strategy: Annotated[str, Field(max_length=64)] | None = None
    decision: Annotated[str, Field(max_length=64)] | None = None
    model_conf: Share | None = None
    features: dict[str, Any] | None = None
    pnl_state: dict[str, Any] | None = None
    history: list[dict[str, Any]] | None = None
    regime: Annotated[str, Field(max_length=64)] | None = None
    stance: Stance | None = None
    order_id: Token | None = None


class Heartbeat(Event):
    """A sign of life and of progress. `seq` grows by one within a process."""

    instance: Annotated[str, Field(max_length=64)] | None = None
    uptime_s: Seconds | None = None
    mode: Mode | None = None
    pnl: Amount | None = None
    open_positions: Count | None = None
    last_tick_at: Moment | None = None
    last_decision_at: Moment | None = None
    loop_lag_ms: Milliseconds | None = None
    version: Annotated[str, Field(max_length=64)] | None = None
    profile: Annotated[str, Field(max_length=64)] | None = None
    pid: Count | None = None
    seq: Count | None = None


class BotAck(Event):
    """A bot's answer to a BOT_COMMAND."""

    command_id: Token
    state: AckState
    detail: Text | None = None


class LocalVerdict(OrderFields):
    """What the SDK answered by itself while the gateway was away. Counts as ungated."""

    decision: Decision
    reason: Annotated[str, Field(max_length=64)]
    policy: Annotated[str, Field(max_length=64)] | None = None
