"""Where the time of day comes from. Deadlines and waits never use it: they are monotonic (`loop.time()`)."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present moment as an aware UTC datetime."""


def wall_clock() -> datetime:
    """The machine's time of day, UTC."""
    return datetime.now(UTC)
