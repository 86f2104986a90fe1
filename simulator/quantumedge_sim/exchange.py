"""The simulated venue: takes orders, meets them with candles, keeps the account. An outside party, so it forgets nothing:
`dump` and `load` carry it over a restart of the bot.

Reports come in the order things happened and are numbered; a repeat of `submit` with a known order id is refused.
"""

import random
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from fleet_contracts import OrderStatus, OrderType, Side
from fleet_contracts.money import ZERO
from quantumedge_sim.candles import Candle
from quantumedge_sim.fills import Fill, fee, is_triggered, meet
from quantumedge_sim.instrument import Instrument
from quantumedge_sim.ledger import Ledger
from quantumedge_sim.venue_order import TERMINAL, Report, VenueOrder

POST_ONLY = "GTX"
IMMEDIATE = "IOC"
_KEPT_MAX = 5_000
"""Closed orders the venue can still report on."""
_BUSY = 0.004
"""How often the venue refuses an order for no reason of ours."""
_PRICED = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_STOPS = (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)


class Exchange:
    """One account at the venue. Single owner; candles are numbered from 0 in the order they are given. `now` stamps reports."""

    def __init__(
        self, instrument: Instrument, seed: int, deposit: Decimal, now: Callable[[], datetime], latency_candles: int = 1
    ) -> None:
        self.instrument, self.seed, self._now = instrument, seed, now
        self.latency = max(1, latency_candles)
        self.ledger = Ledger(deposit)
        self.candle_number = -1
        self.last: Candle | None = None
        self.unsent: deque[Report] = deque()
        """Reports the bot has not taken yet, oldest first."""
        self._orders: dict[str, VenueOrder] = {}
        self._closed: dict[str, VenueOrder] = {}
        self._reports = 0

    # What the bot may ask.

    @property
    def open_orders(self) -> list[VenueOrder]:
        """Working orders, oldest first."""
        return list(self._orders.values())

    def order(self, order_id: str) -> VenueOrder | None:
        """An order the venue knows; None when it never came, or was closed very long ago."""
        return self._orders.get(order_id) or self._closed.get(order_id)

    def position(self) -> Decimal:
        """The signed position in the instrument."""
        return self.ledger.holding(self.instrument.symbol).qty

    def submit(self, order: VenueOrder) -> None:
        """Take an order, or refuse it: the answer is the next report. Raises ValueError for a used order id."""
        if self.order(order.order_id) is not None:
            raise ValueError(f"order id {order.order_id} was used before")
        order.active_from = self.candle_number + self.latency
        self._orders[order.order_id] = order
        refusal = self._refusal(order)
        if refusal is not None:
            self._close(order, OrderStatus.REJECTED, refusal)
        else:
            self._report(order, OrderStatus.WORKING)

    def cancel(self, order_id: str, detail: str = "CANCELLED_BY_BOT") -> bool:
        """Take a working order off the book; False when it is not working (any more)."""
        order = self._orders.get(order_id)
        if order is not None:
            self._close(order, OrderStatus.CANCELLED, detail)
        return order is not None

    def on_candle(self, candle: Candle) -> None:
        """A minute of trading: marks move, orders are met in the order they came."""
        self.candle_number += 1
        self.last = candle
        for order in list(self._orders.values()):
            if self.candle_number >= order.active_from:
                self._meet(order, candle)
        self.ledger.marks[self.instrument.symbol] = candle.close

    # How it keeps its word.

    def _refusal(self, order: VenueOrder) -> str | None:
        if order.symbol != self.instrument.symbol:
            return "UNKNOWN_SYMBOL"
        if self.last is None:
            return "MARKET_CLOSED"
        if wrong := self._off_grid(order):
            return wrong
        if order.time_in_force == POST_ONLY and self._would_take(order):
            return "POST_ONLY_WOULD_TAKE"
        if order.reduce_only:
            return None if self._reducible(order) > 0 else "REDUCE_ONLY_NOTHING_TO_REDUCE"
        if self._short_of_margin(order):
            return "INSUFFICIENT_MARGIN"
        return "VENUE_BUSY" if self._draw(order).random() < _BUSY else None

    def _off_grid(self, order: VenueOrder) -> str | None:
        if order.qty <= 0 or order.qty % self.instrument.lot:
            return "QTY_NOT_ON_LOT"
        for needed, price in ((_PRICED, order.price), (_STOPS, order.stop_price)):
            if order.order_type in needed and (price is None or price <= 0 or price % self.instrument.tick):
                return "PRICE_NOT_ON_TICK"
        return None

    def _would_take(self, order: VenueOrder) -> bool:
        assert self.last is not None
        if order.price is None:
            return True
        return order.price >= self.last.close if order.side is Side.BUY else order.price <= self.last.close

    def _short_of_margin(self, order: VenueOrder) -> bool:
        assert self.last is not None
        new = order.qty * (order.price or order.stop_price or self.last.close)
        return self.ledger.gross + new > self.ledger.equity * self.instrument.leverage_max

    def _meet(self, order: VenueOrder, candle: Candle) -> None:
        if order.is_stop:
            assert order.stop_price is not None
            if not is_triggered(order.side, order.stop_price, candle):
                return
            order.triggered_at = self.candle_number
        most = self._reducible(order) if order.reduce_only else order.leaves
        if most > 0:
            for fill in meet(order.resting(self.candle_number, most), candle, self.instrument, self._draw(order)):
                self._book(order, fill)
        if order.status not in TERMINAL and order.reduce_only and self._reducible(order) <= 0:
            self._close(order, OrderStatus.CANCELLED, "REDUCE_ONLY_NOTHING_TO_REDUCE")
        elif order.status not in TERMINAL and order.time_in_force == IMMEDIATE:
            self._close(order, OrderStatus.EXPIRED, "IMMEDIATE_OR_CANCEL")

    def _book(self, order: VenueOrder, fill: Fill) -> None:
        cost = fee(fill, self.instrument)
        self.ledger.fill(order.symbol, order.side, fill.qty, fill.price, cost)
        order.filled += fill.qty
        order.fills += 1
        status = OrderStatus.FILLED if order.filled == order.qty else OrderStatus.PARTIALLY_FILLED
        order.status = status
        if status is OrderStatus.FILLED:
            self._forget(order)
        self._report(order, status, fill=fill, cost=cost)

    def _reducible(self, order: VenueOrder) -> Decimal:
        position = self.ledger.holding(order.symbol).qty
        return max(ZERO, -position if order.side is Side.BUY else position)

    def _close(self, order: VenueOrder, status: OrderStatus, detail: str) -> None:
        order.status = status
        self._forget(order)
        self._report(order, status, detail=detail)

    def _forget(self, order: VenueOrder) -> None:
        del self._orders[order.order_id]
        self._closed[order.order_id] = order
        while len(self._closed) > _KEPT_MAX:
            del self._closed[next(iter(self._closed))]

    def _report(
        self,
        order: VenueOrder,
        status: OrderStatus,
        *,
        fill: Fill | None = None,
        cost: Decimal | None = None,
        detail: str | None = None,
    ) -> None:
        self._reports += 1
        self.unsent.append(
            Report(
                number=self._reports,
                at=self._now(),
                order_id=order.order_id,
                status=status,
                symbol=order.symbol,
                side=order.side,
                filled_qty=order.filled,
                leaves_qty=order.leaves,
                last_qty=fill.qty if fill else None,
                last_price=fill.price if fill else None,
                fee=cost,
                fill_id=f"f{order.fills}" if fill else None,
                liquidity=fill.liquidity.value if fill else None,
                slippage_bps=fill.slippage_bps if fill else None,
                detail=detail,
            )
        )

    def _draw(self, order: VenueOrder) -> random.Random:
        """This order's luck in this candle."""
        return random.Random(f"{self.seed}/venue/{order.order_id}/{self.candle_number}")

    # Over a restart of the bot.

    def dump(self) -> dict[str, Any]:
        """Everything the venue knows, as plain JSON values. Of closed orders only the newest hundred."""
        return {
            "candle_number": self.candle_number,
            "reports": self._reports,
            "ledger": self.ledger.dump(),
            "orders": [order.dump() for order in self._orders.values()],
            "closed": [order.dump() for order in list(self._closed.values())[-100:]],
            "unsent": [report.dump() for report in self.unsent],
        }

    def load(self, fields: Mapping[str, Any]) -> None:
        """Be the venue that was dumped. Raises KeyError, TypeError, ValueError or ArithmeticError when it is none."""
        self.ledger = Ledger.load(fields["ledger"])
        self.candle_number = int(fields["candle_number"])
        self._reports = int(fields["reports"])
        self._orders = {raw["order_id"]: VenueOrder.load(raw) for raw in fields["orders"]}
        self._closed = {raw["order_id"]: VenueOrder.load(raw) for raw in fields["closed"]}
        self.unsent = deque(Report.load(raw) for raw in fields["unsent"])
