"""Puts a run together: the bot, its venue, its candles and what is kept of it, around a `Face`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from fleet_contracts import AccountClock
from quantumedge_sim.bot import Progress, QuantumBot
from quantumedge_sim.clock import CandleClock, WallClock
from quantumedge_sim.desk import Desk
from quantumedge_sim.exchange import Exchange
from quantumedge_sim.face import Face
from quantumedge_sim.instrument import BTC_PERP
from quantumedge_sim.market import Market
from quantumedge_sim.options import Options
from quantumedge_sim.pace import Pace
from quantumedge_sim.profiles import PROFILES, Profile
from quantumedge_sim.store import DamagedStore, Store
from quantumedge_sim.strategy import Strategy
from quantumedge_sim.summary import summary
from quantumedge_sim.tally import Tally
from quantumedge_sim.trader import Orders, Trader
from quantumedge_sim.wishes import Memory

DEPOSIT = Decimal(10_000)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a runner may hear: progress, and each candle's number (for what a scenario does to the outside)."""

    on_progress: Callable[[Progress], None] = lambda _: None
    on_candle: Callable[[int], None] = lambda _: None


class Run:
    """One run of the simulator, from its options. Raises `CandlesError`, `DamagedStore`."""

    def __init__(self, options: Options, store: Store) -> None:
        self.options = options
        self.tally = Tally()
        self._store = store
        self.profile = _profile(options)
        kept = store.load()
        self._kept = kept
        try:
            self.market = Market(options, BTC_PERP, self.warm_up, kept["market"] if kept else None)
        except (KeyError, TypeError, ValueError) as error:
            if kept is None:
                raise
            raise DamagedStore(f"{store.path}: {error}") from error
        virtual = options.clock is AccountClock.EVENT
        self.clock = CandleClock(self.market.first.at) if virtual else None
        self._now: Callable[[], datetime] = self.clock or WallClock()
        self.exchange = Exchange(BTC_PERP, options.seed, DEPOSIT, self._now)
        self.strategy = Strategy(self.profile, BTC_PERP, options.seed)

    @property
    def warm_up(self) -> int:
        """Candles seen before the first wish."""
        return self.profile.periods.warm_up

    async def play(self, face: Face, stop: asyncio.Event, hooks: Hooks | None = None) -> dict[str, Any]:
        """Trade to the end, or until `stop`; gives the summary. Raises `NoDecision` and `BusAway` in virtual time."""
        hooks = hooks or Hooks()
        desk = Desk(face, self.exchange, self.tally, self._now, bot=self.options.bot, series=self._series(), save=self._save)
        self._desk = desk
        self._restore(desk)
        trader = Trader(desk, self.strategy, Orders(self.options.mode))
        pace = Pace(self.options.speed, stop)
        bot = QuantumBot(
            trader,
            self.clock,
            pace,
            stop,
            save=self._save,
            on_progress=hooks.on_progress,
            on_candle=hooks.on_candle,
            deaf_from=self.options.scenario.deaf_from if self.options.scenario else None,
        )
        await bot.run(self.market, self.market.count, self.warm_up)
        return self.summary()

    def summary(self) -> dict[str, Any]:
        """What came of it so far."""
        options = self.options
        ran = {
            "bot": options.bot,
            "account_id": options.account,
            "seed": options.seed,
            "source": options.candles.name if options.candles else "generated prices",
            "profile": self.profile.name,
            "scenario": options.scenario.name if options.scenario else None,
        }
        wanted = options.scenario.expectations if options.scenario else ()
        met = {expectation.what: expectation.holds(self.tally) for expectation in wanted}
        return summary(self.tally, ran, self.exchange.position(), met)

    def _series(self) -> str:
        """Virtual time: none, so that ids are the same in every run. Else the second this venue was made in."""
        return "" if self.clock is not None else _base36(int(self._now().timestamp()))

    def _save(self) -> None:
        if self._store.path is not None:
            self._store.save(
                {
                    "venue": self.exchange.dump(),
                    "desk": self._desk.dump(),
                    "strategy": self.strategy.memory.dump(),
                    "market": self.market.dump(),
                }
            )

    def _restore(self, desk: Desk) -> None:
        """Go on where the last run stopped."""
        if self._kept is None:
            return
        try:
            self.exchange.load(self._kept["venue"])
            desk.load(self._kept["desk"])
            self.strategy.memory = Memory.load(self._kept["strategy"])
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise DamagedStore(f"{self._store.path}: {error!r}") from error


def _profile(options: Options) -> Profile:
    return options.scenario.profile if options.scenario else PROFILES[options.profile]


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
