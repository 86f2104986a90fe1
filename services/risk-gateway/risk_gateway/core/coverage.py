"""Coverage: how many of the observed fills belong to orders the gateway had allowed (R11). Counted by trading day."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from fleet_contracts.money import ratio

HUNDRED = Decimal(100)


@dataclass(slots=True)
class Coverage:
    """The fills of one trading day. `ungated`: of orders it never saw, denied, or that a bot allowed itself; and those that
    belong nowhere.
    """

    day: str = ""
    gated: int = 0
    ungated: int = 0
    told: int = 0
    """How many ungated ones the newest alarm has told of, and when that was."""
    told_at: datetime | None = None

    def count(self, day: str, *, gated: bool) -> None:
        """One more fill; a new day begins at nothing."""
        if day > self.day:
            self.day, self.gated, self.ungated, self.told, self.told_at = day, 0, 0, 0, None
        if gated:
            self.gated += 1
        else:
            self.ungated += 1

    @property
    def observed(self) -> int:
        """All fills of the day."""
        return self.gated + self.ungated

    @property
    def pct(self) -> Decimal:
        """gated / observed in per cent; 100 while there are none."""
        return ratio(Decimal(self.gated) * HUNDRED, Decimal(self.observed)) if self.observed else HUNDRED
