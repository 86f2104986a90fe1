"""The trading day is kept for a minute; whoever asks, in whatever order, gets the day of his own moment."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from risk_gateway.core.trading_day import TradingDays

BERLIN, CUTOFF = ZoneInfo("Europe/Berlin"), timedelta(hours=8)
AROUND_A_CHANGE = st.integers(-200_000, 200_000).map(lambda s: datetime(2026, 3, 29, 1, 0, tzinfo=UTC) + timedelta(seconds=s))
ANY = st.datetimes(datetime(1890, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.lists(AROUND_A_CHANGE | ANY, min_size=2, max_size=8), st.sampled_from(["Europe/Berlin", "Africa/Monrovia", "UTC"]))
def test_a_kept_day_is_the_day_asked_for_alone(moments: list[datetime], zone: str) -> None:
    kept = TradingDays(ZoneInfo(zone), CUTOFF)
    for moment in (*moments, *moments[::-1]):
        assert kept.of(moment) == TradingDays(ZoneInfo(zone), CUTOFF).of(moment)


def test_a_day_ends_at_the_cutoff_to_the_microsecond() -> None:
    days = TradingDays(BERLIN, CUTOFF)
    ends = datetime(2026, 3, 29, 6, 0, tzinfo=UTC)  # 08:00 in summer time
    assert [days.of(ends + timedelta(microseconds=step)) for step in (-1, 0, -1)] == ["2026-03-28", "2026-03-29", "2026-03-28"]
