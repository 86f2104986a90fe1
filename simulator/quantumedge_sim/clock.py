"""The bot's time: the machine's, or the newest candle's in virtual time."""

from datetime import UTC, datetime


class WallClock:
    """UTC now."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


class CandleClock:
    """Stands still between candles. `at` is set by the loop before anything is said."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at
