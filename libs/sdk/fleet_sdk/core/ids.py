"""Event ids of one process: `<bot>-<start in µs, base 36>-<n>`. Nothing is drawn; a restart starts another series."""

from datetime import UTC, datetime, timedelta

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_BOT_CHARS_MAX = 40
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def base36(number: int) -> str:
    """A non-negative whole number in base 36."""
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if number == 0:
            return digits


class Ids:
    """A series of ids, each a token of at most 64 characters."""

    def __init__(self, bot: str, started: datetime) -> None:
        self._prefix = f"{bot[:_BOT_CHARS_MAX]}-{base36((started - _EPOCH) // timedelta(microseconds=1))}"
        self._count = 0

    def next(self) -> str:
        """The next id of the series."""
        self._count += 1
        return f"{self._prefix}-{base36(self._count)}"
