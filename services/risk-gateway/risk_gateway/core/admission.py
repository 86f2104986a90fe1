"""A token bucket per bot before any decision: one runaway bot must not crowd out the others."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_s` requests a second in the long run, `burst` at once."""

    per_s: float = 500.0
    burst: float = 1000.0


class Admission:
    """Buckets by bot. Times are monotonic seconds."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, bot: str, now_s: float) -> bool:
        """Take one token; False when the bucket is empty."""
        level, since = self._buckets.get(bot, (self._rate.burst, now_s))
        level = min(self._rate.burst, level + (now_s - since) * self._rate.per_s)
        admitted = level >= 1
        self._buckets[bot] = (level - admitted, now_s)
        return admitted
