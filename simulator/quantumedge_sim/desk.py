"""Between the bot, the venue and the fleet: asks before it sends, reports what happened, keeps the records.

Every order passes `ask`: EQUITY first when the fleet's is older than this candle, then the gate, then the venue, at most
`allowed_qty` and only while the verdict is valid.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from fleet_contracts import OrderRequest, OrderType, Side
from fleet_contracts.money import ZERO, ratio
from fleet_sdk import SpoolError, Verdict
from quantumedge_sim.exchange import Exchange
from quantumedge_sim.face import Face
from quantumedge_sim.own_orders import OwnOrder, OwnOrders
from quantumedge_sim.round_trips import Closed, RoundTrips
from quantumedge_sim.tally import Tally
from quantumedge_sim.venue_order import Report, VenueOrder

_IDS_SKIPPED = 1_000
"""Ids left out after a restart: those given since the last save must not be used twice."""

_log = logging.getLogger(__name__)
_IDENTITY = ("order_id", "symbol", "side", "order_type", "qty", "price", "stop_price")


class Desk:
    """One account's order desk. `series` tells the ids of one venue's life from another's."""

    def __init__(
        self,
        face: Face,
        exchange: Exchange,
        tally: Tally,
        now: Callable[[], datetime],
        *,
        bot: str,
        series: str = "",
        save: Callable[[], None] = lambda: None,
    ) -> None:
        self.face, self.exchange, self.tally, self.now, self._bot = face, exchange, tally, now, bot
        self.series = series
        self.orders = OwnOrders()
        self.trips = RoundTrips(self._prefix)
        self.high = exchange.ledger.equity
        self.asking: dict[str, Any] | None = None
        """The order that is being asked about; after a crash it is either at the venue or was never sent."""
        self._save = save
        self._count = 0
        self._untold: deque[tuple[Closed, str]] = deque()
        self._told_at: tuple[int, datetime] | None = None
        self.on_flat: Callable[[Closed], None] = lambda _: None

    @property
    def _prefix(self) -> str:
        return f"{self._bot}-{self.series}" if self.series else self._bot

    def next_id(self, kind: str = "") -> str:
        """A new id of this bot: of an order, or of a signal (`s`)."""
        self._count += 1
        return f"{self._prefix}-{kind}{self._count:06d}"

    async def ask(self, own: OwnOrder, fields: Mapping[str, Any], order: OrderRequest | None = None) -> Verdict:
        """Ask about an order and send it if it may be. `order`: what a review has made of the fields."""
        await self.tell_equity()
        asked = dict(fields) if order is None else {**fields, "qty": order.qty}
        self.asking = {name: str(asked[name]) for name in _IDENTITY if asked.get(name) is not None}
        self._save()
        verdict = await self.face.evaluate(asked)
        _log.info(
            "%s %s %s %s %s: %s%s",
            own.purpose,
            own.side,
            asked["qty"],
            own.symbol,
            own.strategy,
            "ALLOW" if verdict.allowed else f"DENY {verdict.reason}",
            " (answered by the SDK itself)" if verdict.local else "",
        )
        self.tally.verdict(allowed=verdict.allowed, reason=verdict.reason, local=verdict.local)
        if verdict.allowed:
            await self._send(own, asked, verdict)
        self.asking = None
        return verdict

    async def _send(self, own: OwnOrder, fields: Mapping[str, Any], verdict: Verdict) -> None:
        qty = self.exchange.instrument.lots(min(Decimal(fields["qty"]), verdict.allowed_qty))
        if own.symbol != self.exchange.instrument.symbol:
            qty = min(Decimal(fields["qty"]), verdict.allowed_qty)
        if qty <= 0:
            self.tally.never_sent += 1
            await self.face.never_sent(fields)
        elif not verdict.still_valid():
            self.tally.never_sent += 1
        else:
            self.tally.sent += 1
            self.orders.add(own)
            self.exchange.submit(_venue_order(fields, qty))
            self._save()
            await self.deliver()

    async def cancel(self, order: OwnOrder, detail: str) -> None:
        """Take an order back, and say so."""
        self.exchange.cancel(order.order_id, detail)
        self._save()
        await self.deliver()

    async def deliver(self) -> bool:
        """Tell the fleet all that the venue has reported. False: the spool is full; it is told again later."""
        try:
            await self._tell_trades()
            while self.exchange.unsent:
                report = self.exchange.unsent[0]
                await self.face.order_event(**self.event_of(report))
                self.exchange.unsent.popleft()
                self._took(report)
                await self._tell_trades()
        except SpoolError as error:
            _log.warning("what the venue says is kept back: %s", error)
            return False
        return True

    def event_of(self, report: Report) -> dict[str, Any]:
        """A report as the fields of an ORDER_EVENT: the same bytes however often it is told."""
        return {
            "event_id": f"{self._prefix}-r{report.number}",
            "ts": report.at,
            "order_id": report.order_id,
            "status": report.status,
            "symbol": report.symbol,
            "side": report.side,
            "last_qty": report.last_qty,
            "last_price": report.last_price,
            "filled_qty": report.filled_qty,
            "leaves_qty": report.leaves_qty,
            "fee": report.fee,
            "fill_id": report.fill_id,
            "liquidity": report.liquidity,
            "slippage_bps": report.slippage_bps,
            "detail": report.detail,
        }

    def _took(self, report: Report) -> None:
        """Book a report, once the fleet has it."""
        self.tally.report(report)
        own = self.orders.report(report)
        if report.last_qty is None:
            return
        strategy, regime = (own.strategy, own.regime) if own else ("unknown", "unknown")
        closed = self.trips.fill(report, report.at, strategy, regime)
        if closed is not None:
            reason = own.reason if own and own.reason else "SIGNAL"
            self.tally.trade(closed, reason)
            self.on_flat(closed)
            self._untold.append((closed, reason))

    async def _tell_trades(self) -> None:
        """Closed round trips the fleet does not know yet."""
        while self._untold:
            await self._tell_trade(*self._untold[0])
            self._untold.popleft()

    async def _tell_trade(self, closed: Closed, reason: str) -> None:
        trip = closed.trip
        await self.face.trade(
            event_id=f"{trip.position_id}-t",
            ts=closed.at,
            symbol=self.exchange.instrument.symbol,
            side=trip.side,
            price=trip.exit_price,
            qty=trip.entered,
            pnl=trip.pnl,
            order_id=closed.order_id,
            position_id=trip.position_id,
            fee=trip.fees,
            strategy=trip.strategy,
            opened_at=trip.opened_at,
            close_reason=reason,
            slippage_bps=trip.slippage_bps,
            regime=trip.regime,
        )

    async def tell_equity(self, regime: str | None = None) -> None:
        """EQUITY, unless the fleet has that of this very moment."""
        stamp = (self.exchange.candle_number, self.now())
        if self._told_at is not None and self._told_at[0] == stamp[0] and (stamp[1] - self._told_at[1]).total_seconds() < 5:
            return
        ledger = self.exchange.ledger
        equity = ledger.equity
        self.high = max(self.high, equity)
        self.tally.value(equity)
        await self.face.equity(
            equity=equity,
            balance=ledger.balance,
            realized_pnl=ledger.realized,
            unrealized_pnl=ledger.unrealized,
            drawdown=ratio(self.high - equity, self.high),
            regime=regime,
            net_deposits=ZERO,
            priced=True,
            positions=self._positions(),
        )
        self._told_at = stamp

    def _positions(self) -> list[dict[str, Any]]:
        ledger = self.exchange.ledger
        return [
            {"symbol": symbol, "qty": held.qty, "avg_price": held.avg_price, "mark_price": ledger.marks[symbol]}
            for symbol, held in ledger.holdings.items()
        ]

    def dump(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "series": self.series,
            "count": self._count,
            "high": str(self.high),
            "asking": self.asking,
            "orders": self.orders.dump(),
            "trips": self.trips.dump(),
        }

    def load(self, fields: Mapping[str, Any]) -> None:
        """Be what was dumped, a good many ids later. Raises KeyError, TypeError, ValueError or ArithmeticError."""
        self.series = str(fields["series"])
        self._count = int(fields["count"]) + _IDS_SKIPPED
        self.high = Decimal(fields["high"])
        self.asking = fields["asking"]
        self.orders.load(fields["orders"])
        self.trips = RoundTrips.load(self._prefix, fields["trips"])

    async def settle_crash(self) -> None:
        """After a restart: an order that was being asked about and never reached the venue was never sent."""
        asking, self.asking = self.asking, None
        if asking is not None and self.exchange.order(asking["order_id"]) is None:
            self.tally.never_sent += 1
            await self.face.never_sent(asking)


def _venue_order(fields: Mapping[str, Any], qty: Decimal) -> VenueOrder:
    return VenueOrder(
        order_id=fields["order_id"],
        symbol=fields["symbol"],
        side=Side(fields["side"]),
        order_type=OrderType(fields["order_type"]),
        qty=qty,
        price=fields.get("price"),
        stop_price=fields.get("stop_price"),
        reduce_only=bool(fields.get("reduce_only")),
        time_in_force=fields.get("time_in_force") or "GTC",
    )
