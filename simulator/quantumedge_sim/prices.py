"""A seeded price process that switches between regimes: up, down, range, volatile. Minute candles without end.

Returns are normal with the regime's drift and spread; a range pulls back to its anchor; regimes last a geometric time and
follow a Markov chain. Each candle draws from a generator of its own, seeded by (seed, number): nothing but a handful of
numbers has to be kept to go on after a restart, and the same seed is the same history.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from quantumedge_sim.candles import Candle
from quantumedge_sim.instrument import Instrument

FIRST_AT = datetime(2022, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
_STEPS = 6
"""Prices drawn within a candle."""
_HOME_PULL = 2e-6
"""Per minute, of the log distance from the first price: keeps years of candles in sight of it."""
_VOLUME = 900_000.0
"""A middling minute's volume, in the quote currency."""


class Regime(StrEnum):
    """What the market is doing."""

    UP = "trend_up"
    DOWN = "trend_down"
    RANGE = "range"
    VOLATILE = "volatile"


@dataclass(frozen=True, slots=True)
class Habit:
    """A regime's numbers: drift and spread in log return per minute, pull to the anchor, mean length in minutes, and
    the weights of what follows.
    """

    drift: float
    spread: float
    pull: float
    minutes: float
    follows: dict[Regime, float]


HABITS: dict[Regime, Habit] = {
    Regime.UP: Habit(1.1e-4, 6.0e-4, 0.0, 170, {Regime.RANGE: 6, Regime.VOLATILE: 1, Regime.DOWN: 2}),
    Regime.DOWN: Habit(-1.1e-4, 6.5e-4, 0.0, 150, {Regime.RANGE: 6, Regime.VOLATILE: 2, Regime.UP: 2}),
    Regime.RANGE: Habit(0.0, 5.5e-4, 0.045, 240, {Regime.UP: 4, Regime.DOWN: 3.7, Regime.VOLATILE: 1.3}),
    Regime.VOLATILE: Habit(0.0, 1.5e-3, 0.01, 45, {Regime.RANGE: 5, Regime.UP: 2, Regime.DOWN: 2.2}),
}


@dataclass(slots=True)
class PriceState:
    """All that the next candle depends on, besides the seed."""

    number: int
    price: float
    anchor: float
    regime: Regime


class PriceProcess:
    """Candles of one instrument from one seed; `take()` gives the next, for ever."""

    def __init__(self, seed: int, instrument: Instrument, state: PriceState | None = None) -> None:
        first = float(instrument.first_price)
        self.seed, self._instrument, self._first = seed, instrument, first
        self.state = state or PriceState(0, first, first, Regime.RANGE)

    def __iter__(self) -> Iterator[Candle]:
        while True:
            yield self.take()

    def take(self) -> Candle:
        """The next candle."""
        state = self.state
        draw = random.Random(f"{self.seed}/price/{state.number}")
        self._switch(draw)
        habit = HABITS[state.regime]
        path = [state.price]
        for _ in range(_STEPS):
            path.append(self._step(path[-1], habit, draw))
        state.price = path[-1]
        candle = self._candle(path, habit, draw)
        state.number += 1
        return candle

    def dump(self) -> dict[str, Any]:
        """The state as plain JSON values."""
        return asdict(self.state)

    @classmethod
    def load(cls, seed: int, instrument: Instrument, fields: dict[str, Any]) -> Self:
        """A process that goes on where `dump` was made. Raises KeyError, TypeError or ValueError when it is none."""
        state = PriceState(int(fields["number"]), float(fields["price"]), float(fields["anchor"]), Regime(fields["regime"]))
        return cls(seed, instrument, state)

    def _switch(self, draw: random.Random) -> None:
        state = self.state
        habit = HABITS[state.regime]
        if draw.random() * habit.minutes < 1:
            state.regime = draw.choices(list(habit.follows), list(habit.follows.values()))[0]
            state.anchor = state.price

    def _step(self, price: float, habit: Habit, draw: random.Random) -> float:
        pull = habit.pull * math.log(self.state.anchor / price) + _HOME_PULL * math.log(self._first / price)
        noise = draw.gauss(0.0, habit.spread / math.sqrt(_STEPS))
        return price * math.exp((habit.drift + pull) / _STEPS + noise)

    def _candle(self, path: list[float], habit: Habit, draw: random.Random) -> Candle:
        prices = [self._instrument.nearest(Decimal(round(price, 4)).quantize(Decimal("0.0001"))) for price in path]
        busy = habit.spread / 6e-4
        volume = Decimal(round(_VOLUME * busy * math.exp(draw.gauss(0.0, 0.7))))
        at = FIRST_AT + self.state.number * MINUTE
        return Candle(at, prices[0], max(prices), min(prices), prices[-1], volume)
