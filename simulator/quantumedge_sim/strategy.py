"""What QuantumEdge wants: trends by breakout, ranges by fading extremes, scalps in between. Pure; it never acts.

It asks for what its risk rule says, even where the fleet's limits are lower: being told "no" and obeying is the point.
The same candles and the same account give the same wishes.
"""

import random
from decimal import Decimal

from fleet_contracts import OrderType, Side
from quantumedge_sim.candles import Candle
from quantumedge_sim.indicators import Indicators, View
from quantumedge_sim.instrument import Instrument
from quantumedge_sim.profiles import BOLD_TIMES, Profile
from quantumedge_sim.wishes import Memory, Plan, Standing, Wish

OTHER_SYMBOL = "SOL-PERP"
"""On the bot's watch-list and not on the fleet's allow-list."""
_OTHER_SHARE = Decimal("0.0021")
"""Its price, as a share of the instrument's; only for the signal."""
_RSI_MID = 50.0


class Strategy:
    """One symbol's strategy. Candles are numbered by the caller, growing by one."""

    def __init__(self, profile: Profile, instrument: Instrument, seed: int) -> None:
        self.profile, self._instrument, self._seed = profile, instrument, seed
        self._indicators = Indicators(profile.periods)
        self.memory = Memory()
        self.regime = "range"

    def see(self, candle: Candle) -> View:
        """Take a candle in, without wishing anything (warm-up)."""
        view = self._indicators.take(candle)
        self.regime = "trend" if abs(view.gap) >= self.profile.trend_gap else "range"
        return view

    def wishes(self, candle: Candle, number: int, standing: Standing) -> list[Wish]:
        """What it would like after this candle: at most one entry or addition, perhaps a look at the other symbol."""
        view = self.see(candle)
        if not view.warm:
            return []
        wish = self._main(view, candle, number, standing)
        found = [wish] if wish is not None else []
        if standing.may_enter and (scouted := self._scout(view, candle, number)) is not None:
            found.append(scouted)
        every = self.profile.signal_every
        if not found and every and number % every == 0:
            found.append(self._opinion(view, candle))
        return found

    def exit_reason(self, candle: Candle, number: int, standing: Standing) -> str | None:
        """Why the position should be closed now at the market; None: keep it. The stop stands at the venue."""
        plan = self.memory.plan
        if not standing.position or standing.exiting or plan is None or self.profile.never_exit:
            return None
        gain = candle.close - standing.avg_price
        if standing.position < 0:
            gain = -gain
        if gain >= plan.target:
            return "TARGET"
        if gain <= -plan.stop:
            return "STOP"
        return "TIME" if number - plan.since >= self.profile.hold else None

    def stop_price(self, standing: Standing) -> Decimal | None:
        """Where the protective stop of the position belongs."""
        plan = self.memory.plan
        if not standing.position or plan is None or self.profile.never_exit:
            return None
        distance = -plan.stop if standing.position > 0 else plan.stop
        return max(self._instrument.nearest(standing.avg_price + distance), self._instrument.tick)

    def entered(self, wish: Wish, number: int) -> None:
        """An entry or addition of this wish was sent."""
        plan = self.memory.plan
        if wish.decision.startswith("ADD") and plan is not None:
            plan.adds += 1
            plan.last_add = number
        else:
            self.memory.plan = Plan(wish.strategy, wish.qty, wish.stop, wish.target, number, 0, number)

    def refused(self, wish: Wish, number: int) -> None:
        """The wish was denied: ask nothing of the kind for a while."""
        self._rest(wish.strategy, number, self.profile.cool_down)

    def went_flat(self, number: int) -> None:
        """The position is closed."""
        plan, self.memory.plan = self.memory.plan, None
        if plan is not None:
            self._rest(plan.strategy, number, self.profile.cool_down)

    def _main(self, view: View, candle: Candle, number: int, standing: Standing) -> Wish | None:
        if standing.exiting or standing.entering or not standing.may_enter:
            return None
        if standing.position:
            return self._add(view, candle, number, standing)
        for propose in (self._trend, self._fade, self._scalp):
            wish = propose(view, candle, number)
            if wish is not None:
                return wish if self._is_rested(wish.strategy, number) else None
        return None

    def _trend(self, view: View, candle: Candle, number: int) -> Wish | None:
        """A breakout in the direction of the means, at the market."""
        profile = self.profile
        if view.gap >= profile.trend_gap and view.close > view.high:
            side = Side.BUY
        elif view.gap <= -profile.trend_gap and view.close < view.low and not profile.long_only:
            side = Side.SELL
        else:
            return None
        conf = min(0.95, 0.5 + abs(view.gap) / 20)
        return self._entry("trend", side, view, candle, conf, profile.stop_atrs, profile.target_atrs, None)

    def _fade(self, view: View, candle: Candle, number: int) -> Wish | None:
        """Against an extreme, where there is no trend; with a resting order."""
        profile = self.profile
        if abs(view.gap) >= profile.trend_gap or not profile.fade_rsi:
            return None
        if view.rsi <= profile.fade_rsi:
            side = Side.BUY
        elif view.rsi >= 100 - profile.fade_rsi and not profile.long_only:
            side = Side.SELL
        else:
            return None
        conf = min(0.9, 0.5 + abs(view.rsi - _RSI_MID) / 120)
        price = self._passive(side, candle)
        return self._entry("fade", side, view, candle, conf, profile.fade_stop_atrs, profile.fade_target_atrs, price)

    def _scalp(self, view: View, candle: Candle, number: int) -> Wish | None:
        """A small position towards the slow mean, every now and then."""
        profile = self.profile
        if not profile.scalp_every or number % profile.scalp_every:
            return None
        side = Side.BUY if profile.long_only or view.close < view.slow else Side.SELL
        price = self._passive(side, candle)
        luck = random.Random(f"{self._seed}/bold/{number}")
        notional = profile.scalp_notional * (BOLD_TIMES if luck.random() < profile.bold else 1)
        qty = self._instrument.lots(notional / candle.close)
        stops = (profile.fade_stop_atrs, profile.fade_target_atrs)
        return self._wish("ENTER", "scalp", side, qty, price, view, candle, 0.52, *stops)

    def _add(self, view: View, candle: Candle, number: int, standing: Standing) -> Wish | None:
        """More of what goes well; in a scenario that never exits, more of anything."""
        plan, profile = self.memory.plan, self.profile
        if plan is None or plan.adds >= profile.adds_max or number - plan.last_add < profile.add_every:
            return None
        side = Side.BUY if standing.position > 0 else Side.SELL
        gain = float(candle.close - standing.avg_price) * (1 if side is Side.BUY else -1)
        wants = profile.never_exit or gain > view.atr * view.close * 0.5
        qty = self._instrument.lots(plan.qty * profile.add_share)
        if not wants or not qty or not self._is_rested("add", number):
            return None
        price = self._passive(side, candle)
        return self._wish("ADD", "add", side, qty, price, view, candle, 0.55, 0.0, 0.0)

    def _entry(
        self,
        strategy: str,
        side: Side,
        view: View,
        candle: Candle,
        conf: float,
        stop_atrs: float,
        target_atrs: float,
        price: Decimal | None,
    ) -> Wish | None:
        stop = Decimal(str(round(stop_atrs * view.atr, 8)))
        qty = self._instrument.lots(self.profile.risk / (stop * candle.close))
        if not qty:
            return None
        return self._wish("ENTER", strategy, side, qty, price, view, candle, conf, stop_atrs, target_atrs)

    def _scout(self, view: View, candle: Candle, number: int) -> Wish | None:
        """A small wish for the other symbol on the watch-list."""
        luck = random.Random(f"{self._seed}/scout/{number}")
        if luck.random() >= self.profile.scout:
            return None
        price = (candle.close * _OTHER_SHARE).quantize(Decimal("0.01"))
        return Wish(
            decision="ENTER_LONG",
            strategy="scout",
            symbol=OTHER_SYMBOL,
            side=Side.BUY,
            qty=Decimal(2),
            order_type=OrderType.LIMIT,
            reference=price,
            price=price,
            conf=0.51,
            regime=self.regime,
            features=self._features(view),
        )

    def _opinion(self, view: View, candle: Candle) -> Wish:
        """What the model thinks when nothing is to be done."""
        side = Side.BUY if view.gap >= 0 else Side.SELL
        return self._wish("HOLD", "watch", side, Decimal(0), None, view, candle, 0.5, 0.0, 0.0)

    def _wish(
        self,
        what: str,
        strategy: str,
        side: Side,
        qty: Decimal,
        price: Decimal | None,
        view: View,
        candle: Candle,
        conf: float,
        stop_atrs: float,
        target_atrs: float,
    ) -> Wish:
        def distance(atrs: float) -> Decimal:
            return self._instrument.nearest(candle.close * Decimal(str(round(atrs * view.atr, 8))))

        direction = "LONG" if side is Side.BUY else "SHORT"
        return Wish(
            decision=what if what == "HOLD" else f"{what}_{direction}",
            strategy=strategy,
            symbol=self._instrument.symbol,
            side=side,
            qty=qty,
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            reference=candle.close,
            price=price,
            conf=round(conf, 3),
            regime=self.regime,
            features=self._features(view),
            lives=self.profile.limit_lives,
            stop=distance(stop_atrs),
            target=distance(target_atrs),
        )

    def _features(self, view: View) -> dict[str, float | str]:
        return {
            "volatility_regime": view.volatility,
            "rsi": round(view.rsi, 2),
            "trend_gap": round(view.gap, 3),
            "atr_bps": round(view.atr * 1e4, 2),
        }

    def _passive(self, side: Side, candle: Candle) -> Decimal:
        """A tick on the resting side of the last price."""
        step = self._instrument.tick
        return candle.close - step if side is Side.BUY else candle.close + step

    def _rest(self, strategy: str, number: int, candles: int) -> None:
        self.memory.quiet_until[strategy] = max(self.memory.quiet_until.get(strategy, 0), number + candles)

    def _is_rested(self, strategy: str, number: int) -> bool:
        return number >= self.memory.quiet_until.get(strategy, 0)
