"""What is left of every limit, in words, and when it would be reached."""

from datetime import timedelta
from decimal import Decimal, localcontext
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fleet_contracts.money import MONEY
from parts.account_log import NOON, AccountLog, log_of
from parts.trading import RISK, fill
from risk_gateway.core.headroom import limits, sample, usages
from risk_gateway.core.trend import Trend

KEY = ("max_gross_exposure", "limits")


def rows(log: AccountLog, trend: Trend | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["limit"], row["place"]): row for row in limits(log.core, trend or Trend(), log.now)["usage"]}


@given(lots=st.integers(0, 400), warn_pct=st.integers(0, 100))
def test_a_band_says_how_near_the_limit_is(lots: int, warn_pct: int) -> None:
    log = log_of(limits={"max_gross_exposure": 12_000, "warn_pct": warn_pct, "max_order_notional": 10**6}, taker_fee_bps=0)
    if lots:
        log.store(*fill("any", "f", str(Decimal(lots) / 1000), "40000", symbol="BTC-PERP", side="BUY"))
    row, used = rows(log)[KEY], 40 * lots
    assert (Decimal(row["used"]), Decimal(row["headroom"])) == (used, max(0, 12_000 - used))
    band = "BREACH" if used >= 12_000 else "WARN" if used * 100 >= warn_pct * 12_000 else "OK"
    assert row["band"] == band


def test_without_warn_pct_nothing_warns() -> None:
    log = log_of(limits={"max_open_orders": 10})
    for number in range(9):
        log.decide(f"o{number}", qty="0.001")
    row = rows(log)["max_open_orders", "limits"]
    assert (row["used"], row["headroom"], row["used_pct"], row["band"]) == ("9", "1", "90", "OK")


def test_every_place_of_a_limit_has_its_row() -> None:
    log = log_of(
        limits={"order_rate": {"count": 5, "per_s": 10}, "warn_pct": 60},
        bots={"qe1": {"max_open_orders": 1, "max_leverage": 1}},
        strategies={"scalp": {"order_rate": {"count": 2, "per_s": 10}, "max_gross_exposure": 500}},
        symbols={**RISK["symbols"], "ETH-PERP": {**RISK["symbols"]["ETH-PERP"], "max_notional": 50}},
    )
    log.decide("a", strategy="scalp")
    log.decide("b", symbol="ETH-PERP", price="400", qty="0.1", source="qe2")
    found = rows(log)
    assert found["max_open_orders", "bots.qe1"]["band"] == "BREACH"
    assert found["max_leverage", "bots.qe1"]["max"] == "10000"
    assert found["order_rate", "strategies.scalp"]["used"] == "1"
    assert found["order_rate", "limits"]["used"] == "2"
    assert found["max_gross_exposure", "strategies.scalp"]["band"] == "WARN"
    assert found["max_notional_per_symbol", "limits"]["of"] == "ETH-PERP", "40 of 50 are nearer than 400 of 10,000"
    assert found["stale_equity_s", "limits"]["used"] == "0"
    log.now += timedelta(seconds=11)
    assert rows(log)["order_rate", "limits"]["used"] == "0"
    assert rows(log)["stale_equity_s", "limits"]["used"] == "11"


def test_a_disabled_strategy_and_a_doubt_are_told() -> None:
    log = log_of(limits={"repeated_order": {"count": 2, "per_s": 10}, "untrusted_equity_s": 900})
    log.decide("a", strategy="scalp")
    log.decide("b", strategy="scalp")
    log.equity("9000", priced=False)
    view = limits(log.core, Trend(), log.now)
    assert [(row["kind"], row["name"], row["order_id"]) for row in view["disabled"]] == [("strategy", "scalp", "b")]
    assert list(view["doubts"]) == ["DAILY_LOSS"]


@given(start=st.floats(0, 0.9), slope=st.floats(1e-4, 1e-2), samples=st.integers(3, 60))
def test_the_time_to_a_breach_of_a_straight_line_is_exact(start: float, slope: float, samples: int) -> None:
    trend = Trend()
    for number in range(samples):
        trend.note(NOON + timedelta(seconds=5 * number), [(KEY, start + slope * 5 * number)])
    now = start + slope * 5 * (samples - 1)
    ahead = trend.breach_in_s(KEY, now)
    if now >= 1:
        assert ahead is None
    else:
        assert ahead == pytest.approx((1 - now) / slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("shares", [[], [0.1], [0.1, 0.2], [0.5, 0.5, 0.5], [0.5, 0.4, 0.3], [0.5, 0.5, 0.5 + 1e-9]])
def test_what_does_not_rise_or_is_far_away_is_not_foretold(shares: list[float]) -> None:
    trend = Trend()
    for number, share in enumerate(shares):
        trend.note(NOON + timedelta(seconds=5 * number), [(KEY, share)])
    assert trend.breach_in_s(KEY, shares[-1] if shares else 0) is None


def test_samples_older_than_ten_minutes_are_forgotten() -> None:
    trend = Trend()
    for number in range(200):
        trend.note(NOON + timedelta(seconds=5 * number), [(KEY, 1.0 - number / 1000 if number < 100 else 0.0)])
    for number in range(3):
        trend.note(NOON + timedelta(seconds=2000 + 5 * number), [(KEY, 0.1 * number)])
    assert trend.breach_in_s(KEY, 0.2) == pytest.approx(40)
    trend.note(NOON, [(KEY, 0.9)])
    assert trend.breach_in_s(KEY, 0.2) == pytest.approx(40), "an older sample is none"


def test_the_samples_are_of_the_limits_that_fill_up() -> None:
    log, trend = log_of(), Trend()
    for number in range(4):
        log.store(*fill(f"o{number}", "f", "0.01", "40000", symbol="BTC-PERP", side="BUY"))
        sample(log.core, trend, log.now)
        log.now += timedelta(seconds=5)
    row = rows(log, trend)[KEY]
    assert row["used"] == "1600"
    assert row["breach_in_s"] == pytest.approx((20_000 - 1600) / 80, rel=0.01)
    with localcontext(MONEY):
        rules = log.core.state.rules
        assert rules is not None
        assert {usage.limit for usage in usages(log.core, rules, log.now) if not usage.sum} == {
            "max_open_orders",
            "stale_equity_s",
        }
