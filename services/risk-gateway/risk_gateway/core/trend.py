"""How fast the limits fill up: samples of the last minutes, and when a limit would be reached if it went on like that.

For people only. Nothing is decided by it, so it is kept beside the fold and begins anew with the process.
"""

from collections import deque
from collections.abc import Iterable
from datetime import datetime

WINDOW_S = 600.0
SAMPLES_MIN = 3
AHEAD_S_MAX = 86_400.0
"""What is further away than a day is not foretold."""
KEYS_MAX = 1_000
Key = tuple[str, str]
"""(limit, scope)."""


class Trend:
    """Samples by limit: (seconds, used share of the limit)."""

    def __init__(self) -> None:
        self._samples: dict[Key, deque[tuple[float, float]]] = {}

    def note(self, at: datetime, shares: Iterable[tuple[Key, float]]) -> None:
        """One more sample of every limit; what is older than ten minutes is forgotten."""
        now = at.timestamp()
        for key, share in shares:
            if key not in self._samples and len(self._samples) >= KEYS_MAX:
                continue
            samples = self._samples.setdefault(key, deque(maxlen=int(WINDOW_S)))
            if samples and now <= samples[-1][0]:
                continue
            samples.append((now, share))
            while samples[0][0] < now - WINDOW_S:
                samples.popleft()

    def breach_in_s(self, key: Key, share: float) -> float | None:
        """Seconds until `share` would be 1: `(1 − share) ÷ slope`, the slope by least squares over the window.

        None while it does not rise, with fewer than three samples, or further away than a day.
        """
        slope = _slope(list(self._samples.get(key, ())))
        if slope is None or slope <= 0 or share >= 1:
            return None
        ahead = (1 - share) / slope
        return ahead if ahead <= AHEAD_S_MAX else None


def _slope(samples: list[tuple[float, float]]) -> float | None:
    if len(samples) < SAMPLES_MIN:
        return None
    middle = sum(at for at, _ in samples) / len(samples)
    mean = sum(share for _, share in samples) / len(samples)
    spread = sum((at - middle) ** 2 for at, _ in samples)
    return sum((at - middle) * (share - mean) for at, share in samples) / spread
