"""What the strategy sees in the candles. Plain floats: these are opinions, not money."""

import math
from collections import deque
from dataclasses import dataclass

from quantumedge_sim.candles import Candle


def _mix(old: float, new: float, period: float) -> float:
    """One step of an exponential mean."""
    return old + (new - old) * 2.0 / (period + 1.0)


@dataclass(frozen=True, slots=True)
class Periods:
    """In candles."""

    fast: int = 30
    slow: int = 120
    range: int = 30
    range_long: int = 720
    rsi: int = 14
    breakout: int = 60

    @property
    def warm_up(self) -> int:
        """Candles until the figures mean something."""
        return max(self.slow, self.breakout)


@dataclass(frozen=True, slots=True)
class View:
    """The figures after a candle. `atr` and `calm` in shares of the price; `gap` = (fast − slow) in ATRs."""

    close: float
    fast: float
    slow: float
    atr: float
    atr_long: float
    rsi: float
    high: float
    low: float
    warm: bool

    @property
    def gap(self) -> float:
        return (self.fast - self.slow) / (self.atr * self.close)

    @property
    def volatility(self) -> str:
        """`low`, `normal` or `high`, against the longer mean."""
        share = self.atr / self.atr_long
        return "high" if share > 1.5 else "low" if share < 0.7 else "normal"


class Indicators:
    """Fed candle by candle. Single owner."""

    def __init__(self, periods: Periods) -> None:
        self._periods = periods
        self._seen = 0
        self._close = self._fast = self._slow = 0.0
        self._atr = self._atr_long = 0.0
        self._gain = self._loss = 0.0
        self._highs: deque[float] = deque(maxlen=periods.breakout)
        self._lows: deque[float] = deque(maxlen=periods.breakout)

    def take(self, candle: Candle) -> View:
        """The figures with this candle; `high` and `low` are those of the candles before it."""
        close, high, low = float(candle.close), float(candle.high), float(candle.low)
        if self._seen == 0:
            self._begin(close, high, low)
        else:
            self._move(close, high, low)
        view = self._view(close, high, low)
        self._highs.append(high)
        self._lows.append(low)
        self._close = close
        self._seen += 1
        return view

    def _begin(self, close: float, high: float, low: float) -> None:
        self._close = self._fast = self._slow = close
        self._atr = self._atr_long = max((high - low) / close, 1e-5)

    def _move(self, close: float, high: float, low: float) -> None:
        periods, before = self._periods, self._close
        span = (max(high, before) - min(low, before)) / close
        warming = 1.0 / (self._seen + 1.0)
        self._fast = _mix(self._fast, close, periods.fast)
        self._slow = _mix(self._slow, close, periods.slow)
        self._atr = max(_mix(self._atr, span, periods.range), 1e-5)
        self._atr_long = max(self._atr_long + (span - self._atr_long) * max(warming, 2.0 / periods.range_long), 1e-5)
        change = close - before
        self._gain = _mix(self._gain, max(change, 0.0), periods.rsi)
        self._loss = _mix(self._loss, max(-change, 0.0), periods.rsi)

    def _view(self, close: float, high: float, low: float) -> View:
        moved = self._gain + self._loss
        return View(
            close=close,
            fast=self._fast,
            slow=self._slow,
            atr=self._atr,
            atr_long=self._atr_long,
            rsi=50.0 if math.isclose(moved, 0.0, abs_tol=1e-12) else 100.0 * self._gain / moved,
            high=max(self._highs, default=high),
            low=min(self._lows, default=low),
            warm=self._seen >= self._periods.warm_up,
        )
