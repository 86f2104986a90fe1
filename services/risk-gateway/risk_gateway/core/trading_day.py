"""Which trading day a moment belongs to."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


class TradingDays:
    """Days that begin at `cutoff` (since midnight) in a time zone. It keeps the day of the minute it was asked for last: every
    order asks, and a zone is slow to tell.
    """

    __slots__ = ("_cutoff", "_day", "_since", "_until", "_zone")

    def __init__(self, zone: ZoneInfo, cutoff: timedelta) -> None:
        self._zone, self._cutoff = zone, cutoff
        self._day = ""
        self._since = self._until = datetime.min.replace(tzinfo=UTC)

    def of(self, moment: datetime) -> str:
        """The day of an aware moment (DL-1): the local date of the moment minus the cutoff, `YYYY-MM-DD`."""
        if not self._since <= moment < self._until:
            local = moment.astimezone(self._zone)
            self._day = (local.replace(tzinfo=None) - self._cutoff).date().isoformat()
            self._since = moment.astimezone(UTC).replace(second=0, microsecond=0)
            offset = local.utcoffset() or timedelta(0)
            self._until = self._since if offset % MINUTE else self._since + MINUTE
        return self._day
