"""Makes orders of the strategy's wishes and looks after the position: protective stop, exit, orders past their time.

Entries stop while the fleet says so (halted, reducing, mode off, paused); exits go on, reduce-only, through the same gate.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fleet_contracts import Mode, OrderType, Reason, Side, TradingState
from fleet_contracts.money import ZERO
from quantumedge_sim.candles import Candle
from quantumedge_sim.desk import Desk
from quantumedge_sim.own_orders import OwnOrder, Purpose
from quantumedge_sim.round_trips import Closed
from quantumedge_sim.strategy import Strategy
from quantumedge_sim.wishes import Standing, Wish

_HISTORY = 5
_SMALLER = Decimal("0.97")
"""Of what a limit leaves: the second try after a refusal for size."""


@dataclass(slots=True)
class Orders:
    """What the bot was told to do, by the fleet or by its operator."""

    mode: Mode
    paused: bool = False
    closing: str | None = None
    """Close the position, because of this."""
    stopped: bool = False


@dataclass(slots=True)
class Trader:
    """One bot's trading. Single owner; candles are numbered by the exchange."""

    desk: Desk
    strategy: Strategy
    told: Orders
    outcomes: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_HISTORY))

    def __post_init__(self) -> None:
        self.desk.on_flat = self._went_flat

    @property
    def number(self) -> int:
        """The newest candle's number."""
        return self.desk.exchange.candle_number

    @property
    def may_enter(self) -> bool:
        """Whether risk may be added, as far as the bot knows."""
        face, told = self.desk.face, self.told
        if told.paused or told.stopped or told.closing or told.mode is Mode.OFF:
            return False
        if self.strategy.profile.headstrong:
            return True
        return not face.halted and face.state.trading_state in (None, TradingState.ACTIVE)

    def standing(self) -> Standing:
        """The account as the strategy sees it."""
        exchange = self.desk.exchange
        holding = exchange.ledger.holding(exchange.instrument.symbol)
        return Standing(
            position=holding.qty,
            avg_price=holding.avg_price,
            entering=bool(self.desk.orders.of(Purpose.ENTRY)),
            exiting=bool(self.desk.orders.of(Purpose.EXIT)),
            may_enter=self.may_enter,
        )

    async def manage(self, candle: Candle) -> None:
        """What has to be done before anything new is wished for."""
        await self._take_back()
        standing = self.standing()
        if not standing.position:
            for stop in self.desk.orders.of(Purpose.STOP):
                await self.desk.cancel(stop, "NO_POSITION")
            return
        reason = self.told.closing or self.strategy.exit_reason(candle, self.number, standing)
        if reason is not None and not standing.exiting:
            await self._exit(candle, reason)
        elif not standing.exiting:
            await self._protect(candle, standing)

    async def pursue(self, candle: Candle) -> None:
        """Take the candle in, and act on the strategy's wishes."""
        for wish in self.strategy.wishes(candle, self.number, self.standing()):
            if wish.qty:
                await self._enter(wish)
            else:
                self._say_opinion(wish)

    async def cancel_all(self, detail: str, *, keep_stop: bool = False) -> int:
        """Take back every working order; returns how many."""
        found = [own for own in self.desk.orders.working.values() if not (keep_stop and own.purpose is Purpose.STOP)]
        for own in found:
            await self.desk.cancel(own, detail)
        return len(found)

    async def _take_back(self) -> None:
        """Entries that have waited long enough, or may not be any more."""
        for own in self.desk.orders.of(Purpose.ENTRY):
            if not self.may_enter:
                await self.desk.cancel(own, "ENTRIES_STOPPED")
            elif own.lives and self.number - own.since >= own.lives:
                await self.desk.cancel(own, "TOO_OLD")

    async def _exit(self, candle: Candle, reason: str) -> None:
        """Everything off the book, then the whole position at the market, reduce-only."""
        await self.cancel_all(f"EXIT_{reason}")
        position = self.standing().position
        if not position:
            return
        side = Side.SELL if position > 0 else Side.BUY
        own = self._own(Purpose.EXIT, side, reason=reason)
        fields = self._reduction(own, OrderType.MARKET, abs(position), candle)
        await self.desk.ask(own, fields)

    async def _protect(self, candle: Candle, standing: Standing) -> None:
        """One stop at the venue, as large as the position."""
        price = self.strategy.stop_price(standing)
        stops = self.desk.orders.of(Purpose.STOP)
        leaves = sum((order.leaves for own in stops if (order := self.desk.exchange.order(own.order_id))), ZERO)
        if price is None or (stops and leaves == abs(standing.position)):
            return
        for stop in stops:
            await self.desk.cancel(stop, "RESIZED")
        side = Side.SELL if standing.position > 0 else Side.BUY
        own = self._own(Purpose.STOP, side, reason="STOP")
        fields = self._reduction(own, OrderType.STOP_MARKET, abs(standing.position), candle)
        await self.desk.ask(own, {**fields, "stop_price": price})

    async def _enter(self, wish: Wish) -> None:
        """Signal, review, question, order; a second, smaller question when only the size was wrong."""
        own = OwnOrder(
            self.desk.next_id(), Purpose.ENTRY, wish.strategy, wish.regime, wish.symbol, wish.side, self.number, wish.lives
        )
        fields = self._order(own, wish)
        context = self.desk.face.build_signal_context(
            fields,
            wish.features,
            self._pnl_state(),
            decision=wish.decision,
            model_conf=wish.conf,
            regime=wish.regime,
            history=list(self.outcomes),
        )
        review = await self.desk.face.review_signal(context)
        await self.desk.face.log_signal_context(context)
        order = self.desk.face.apply_review(fields, review, lot=self.desk.exchange.instrument.lot)
        if order is None:
            self.desk.tally.skipped += 1
            return
        verdict = await self.desk.ask(own, fields, order)
        if verdict.allowed:
            self._entered(wish)
        elif verdict.reason == Reason.ORDER_NOTIONAL_TOO_LARGE and not verdict.local:
            await self._enter_smaller(wish, fields, getattr(verdict.decision, "limit", None))
        else:
            self.strategy.refused(wish, self.number)

    async def _enter_smaller(self, wish: Wish, fields: Mapping[str, Any], limit: Decimal | None) -> None:
        """As much as the limit leaves, under an id of its own."""
        qty = self.desk.exchange.instrument.lots((limit or ZERO) / wish.reference * _SMALLER)
        if not 0 < qty < wish.qty:
            self.strategy.refused(wish, self.number)
            return
        own = OwnOrder(
            self.desk.next_id(), Purpose.ENTRY, wish.strategy, wish.regime, wish.symbol, wish.side, self.number, wish.lives
        )
        verdict = await self.desk.ask(own, {**fields, "order_id": own.order_id, "qty": qty})
        if verdict.allowed:
            self._entered(wish)
        else:
            self.strategy.refused(wish, self.number)

    def _entered(self, wish: Wish) -> None:
        if wish.symbol == self.desk.exchange.instrument.symbol:
            self.strategy.entered(wish, self.number)

    def _say_opinion(self, wish: Wish) -> None:
        """A signal nothing is done about."""
        self.desk.face.record(
            "SIGNAL_CONTEXT",
            {
                "signal_id": self.desk.next_id("s"),
                "symbol": wish.symbol,
                "side": wish.side,
                "price": wish.reference,
                "strategy": wish.strategy,
                "decision": wish.decision,
                "model_conf": wish.conf,
                "features": dict(wish.features),
                "regime": wish.regime,
            },
        )

    def _order(self, own: OwnOrder, wish: Wish) -> dict[str, Any]:
        fields = {
            "order_id": own.order_id,
            "strategy": wish.strategy,
            "symbol": wish.symbol,
            "side": wish.side,
            "order_type": wish.order_type,
            "qty": wish.qty,
            "reference_price": wish.reference,
            "reduce_only": False,
            "time_in_force": "GTC",
            "signal_id": self.desk.next_id("s"),
            "position_id": self.desk.trips.position_id,
        }
        if wish.price is not None:
            fields["price"] = wish.price
        return fields

    def _reduction(self, own: OwnOrder, order_type: OrderType, qty: Decimal, candle: Candle) -> dict[str, Any]:
        return {
            "order_id": own.order_id,
            "strategy": own.strategy,
            "symbol": own.symbol,
            "side": own.side,
            "order_type": order_type,
            "qty": qty,
            "reference_price": candle.close,
            "reduce_only": True,
            "time_in_force": "GTC",
            "position_id": self.desk.trips.position_id,
        }

    def _own(self, purpose: Purpose, side: Side, *, reason: str) -> OwnOrder:
        trip, symbol = self.desk.trips.open, self.desk.exchange.instrument.symbol
        strategy, regime = (trip.strategy, trip.regime) if trip else ("unknown", "unknown")
        return OwnOrder(self.desk.next_id(), purpose, strategy, regime, symbol, side, self.number, 0, reason)

    def _pnl_state(self) -> dict[str, Any]:
        tally, ledger = self.desk.tally, self.desk.exchange.ledger
        return {
            "recent_pnl": str(ledger.realized - ledger.fees),
            "winrate": round(tally.wins / tally.trades, 3) if tally.trades else None,
            "trades": tally.trades,
        }

    def _went_flat(self, closed: Closed) -> None:
        self.strategy.went_flat(self.number)
        decision = "ENTER_LONG" if closed.trip.side is Side.BUY else "ENTER_SHORT"
        self.outcomes.append({"ts": closed.at.isoformat(), "decision": decision, "outcome_pnl": str(closed.trip.pnl)})
