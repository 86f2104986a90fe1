"""Daily loss and drawdown against a reckoning by hand: days of 23 and 25 hours, flows, first boots, restarts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from fleet_contracts import Provenance, parse
from fleet_contracts.risk_config import Day
from parts.account_log import AccountLog
from parts.trading import equity, setup
from risk_gateway.core.account import Account
from risk_gateway.core.rules import Setup

MONEY = st.decimals(min_value=1_000, max_value=100_000, places=2)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns")
SPRING, AUTUMN = datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)
WIDE = {"max_drawdown": {"soft_pct": 99, "hard_pct": 100}}


def account(
    money: str | None = None, *, at: datetime | None = None, limits: dict[str, object] | None = None, **day: object
) -> AccountLog:
    made: Setup = setup(**(limits or {}))
    log = AccountLog(replace(made, risk=made.risk.model_copy(update={"day": Day.model_validate(day)})), None)
    log.now = at or log.now
    if money is not None:
        log.equity(money)
    return log


def loss(log: AccountLog) -> Decimal:
    return log.core.state.equity.daily_loss()


def restarted(log: AccountLog) -> AccountLog:
    log.core = Account.load("main", log.setup, log.core.dump())
    return log


# DL-1, DL-2: the day.


@given(st.sampled_from(ZONES), st.integers(0, 23), st.sampled_from(("00", "30")), st.integers(0, 366 * 24 * 4))
@settings(deadline=None)
def test_a_trading_day_is_the_local_date_of_the_moment_minus_the_cutoff(
    zone: str, hour: int, minute: str, quarter: int
) -> None:
    """DL-1, by the local clock on the wall: what it shows decides, whatever the offset."""
    log = account(zone=zone, cutoff=f"{hour:02}:{minute}")
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter)
    shown = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    after_cutoff = (shown.hour, shown.minute) >= (hour, int(minute))
    expected = shown.date() if after_cutoff else shown.date() - timedelta(days=1)
    assert log.core.state.rules is not None
    assert log.core.state.rules.day_of(moment) == expected.isoformat()


@pytest.mark.parametrize(("midnight", "hours"), [(SPRING, 23), (AUTUMN, 25), (SPRING + timedelta(days=1), 24)])
def test_a_day_of_23_or_25_hours_counts_one_loss_from_its_first_minute_to_its_last(midnight: datetime, hours: int) -> None:
    begins = midnight.replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    log = account("10000", at=begins, zone="Europe/Berlin")
    base = log.core.state.equity.base
    log.now = begins + timedelta(hours=hours, seconds=-2)
    log.equity("9800")
    assert loss(log) == 200
    assert log.core.state.equity.base == base, "still the same day"
    log.now = begins + timedelta(hours=hours)
    log.equity("9800")
    assert loss(log) == 0, "a new day, a new base"


def test_an_hour_that_the_clock_shows_twice_begins_no_second_day() -> None:
    """With the cutoff inside the repeated hour the day may begin once and never go back."""
    log = account("10000", at=AUTUMN - timedelta(hours=2), zone="Europe/Berlin", cutoff="02:30")
    days = []
    for minutes in range(0, 240, 10):
        log.now = AUTUMN - timedelta(hours=1) + timedelta(minutes=minutes)
        log.equity("9900")
        assert log.core.state.equity.base is not None
        days.append(log.core.state.equity.base.day)
    assert days == sorted(days)
    assert len(set(days)) == 2


@given(st.integers(0, 23 * 60), MONEY)
@settings(deadline=None)
def test_the_first_boot_in_the_middle_of_a_day_counts_from_the_first_trusted_equity(minutes: int, first: Decimal) -> None:
    """DL-2."""
    log = account(at=datetime(2026, 3, 10, tzinfo=UTC) + timedelta(minutes=minutes))
    assert log.decide("a").reason == "STALE_EQUITY", "no base, no entry (DL-7)"
    log.equity(str(first * 2), priced=False)
    assert log.core.state.equity.base is None
    log.equity(str(first))
    base = log.core.state.equity.base
    assert base is not None
    assert (base.amount, loss(log)) == (first, 0)


# DL-3, DL-4: the loss.


@given(MONEY, st.lists(st.tuples(MONEY, st.decimals(min_value=-5_000, max_value=5_000, places=2)), min_size=1, max_size=8))
@settings(deadline=None)
def test_the_loss_is_what_is_missing_of_the_base_and_the_flows_since(
    first: Decimal, later: list[tuple[Decimal, Decimal]]
) -> None:
    """DL-3 with deposits and withdrawals in the middle of the day, and DL-6: the first trip latches."""
    log = account(limits=WIDE)
    log.equity(str(first), net_deposits=Decimal(0))
    limit, deposits, tripped = min(Decimal(500), first * 5 / 100), Decimal(0), False
    for now, flow in later:
        deposits += flow
        log.equity(str(now), net_deposits=deposits)
        missing = max(Decimal(0), first + deposits - now)
        assert loss(log) == missing
        tripped = tripped or missing >= limit
        assert ({halt.cause for halt in log.core.halts} == {"DAILY_LOSS"}) is tripped
        assert loss(restarted(log)) == missing


@given(MONEY, st.sampled_from([Decimal("-0.01"), Decimal(0), Decimal("0.01")]))
@settings(deadline=None)
def test_exactly_at_the_limit_trips_and_a_cent_before_does_not(first: Decimal, off: Decimal) -> None:
    limit = min(Decimal(500), first * 5 / 100)
    log = account(str(first), limits=WIDE)
    log.equity(str(first - limit - off))
    assert bool(log.core.halts) is (off >= 0)
    assert bool(restarted(log).core.halts) is (off >= 0)


def test_open_profit_does_not_hide_a_realised_loss() -> None:
    """DL-4: both are reckoned, the worse one decides."""
    log = account(limits=WIDE)
    log.equity("10000", balance=Decimal(10_000))
    log.equity("9900", balance=Decimal("9500.01"))
    assert (log.core.state.equity.marked_loss(), log.core.state.equity.realized_loss()) == (100, Decimal("499.99"))
    assert not log.core.halts
    log.equity("9900", balance=Decimal(9_500))
    assert [halt.cause for halt in log.core.halts] == ["DAILY_LOSS"]


def test_a_loss_by_fees_alone_is_a_loss() -> None:
    log = account(limits=WIDE)
    log.equity("10000", balance=Decimal(10_000), realized_pnl=Decimal(0))
    log.equity("9500", balance=Decimal(9_500), realized_pnl=Decimal(0))
    assert loss(log) == 500


def test_a_balance_that_a_venue_does_not_give_is_not_taken_for_nothing() -> None:
    log = account("10000", limits=WIDE)
    log.equity("9999")
    assert log.core.state.equity.realized_loss() == 0
    log.equity("9999", balance=Decimal(1))
    assert log.core.state.equity.realized_loss() == 0, "the day's base has no balance to compare it with"


def test_an_untrusted_balance_may_raise_the_reading_and_never_lower_it() -> None:
    """EQ-4."""
    log = account(limits=WIDE)
    log.equity("10000", balance=Decimal(10_000))
    log.equity("10000", balance=Decimal(9_700))
    log.equity("10000", balance=Decimal(9_900), priced=False)
    assert log.core.state.equity.realized_loss() == 300
    log.equity("10000", balance=Decimal(9_600), priced=False)
    assert log.core.state.equity.realized_loss() == 400


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", '"NaN"', "1e400", "null"])
def test_an_equity_that_is_no_number_is_no_equity_and_the_old_one_grows_stale(number: str) -> None:
    """G0: it never counts as zero, and never as fine."""
    log = account("10000")
    subject, _ = equity("1", log.now)
    assert parse(subject, b'{"equity": %s}' % number.encode(), Provenance("FLEET", 99, log.now)).bad
    log.now += timedelta(seconds=31)
    assert log.decide("a").reason == "STALE_EQUITY"


def test_a_limit_raised_while_latched_stays_latched_also_across_a_restart() -> None:
    """DL-6, DL-7."""
    log = account("10000", limits=WIDE)
    log.equity("9400")
    raised = replace(log.setup, risk=setup(**WIDE, max_daily_loss={"amount": 5000, "pct": 50}).risk)
    log.arrive(*log.hold(log.core.limits_fact(raised, "limits", log.now, by="a", reason="more")))
    log.equity("9400")
    assert [halt.cause for halt in log.core.halts] == ["DAILY_LOSS"]
    assert [halt.cause for halt in restarted(log).core.halts] == ["DAILY_LOSS"]


# DL-6: the day's end.


@pytest.mark.parametrize("auto_resume", [True, False])
def test_a_new_day_lifts_the_days_halt_only_when_configured(auto_resume: bool) -> None:
    log = account("10000", limits=WIDE, auto_resume=auto_resume)
    log.equity("9400")
    log.now += timedelta(days=1)
    log.equity("9400")
    assert bool(log.core.halts) is not auto_resume


def test_a_days_halt_that_waits_for_a_person_does_not_end_with_the_day() -> None:
    log = account("10000", limits=WIDE, auto_resume=True)
    log.equity("9400")
    log.now += timedelta(seconds=11)
    log.settle()
    assert log.core.state.manual_close_needed, "nobody acknowledged CLOSE_POSITIONS"
    log.now += timedelta(days=1)
    log.equity("9400")
    assert [halt.cause for halt in log.core.halts] == ["DAILY_LOSS"]


# DD-1, DD-2, DD-3: the drawdown.


@given(st.lists(st.tuples(MONEY, st.booleans()), min_size=1, max_size=10))
@settings(deadline=None)
@example([(Decimal(1000), False), (Decimal(1000), True)])
def test_the_high_water_mark_is_the_highest_trusted_equity_and_never_falls(seen: list[tuple[Decimal, bool]]) -> None:
    """DD-1, DD-2, without flows."""
    log, high = account(limits=WIDE), None
    for now, trusted in seen:
        log.equity(str(now), priced=trusted)
        if trusted:
            high = now if high is None else max(high, now)
        assert log.core.state.equity.high == high
        assert restarted(log).core.state.equity.high == high


@given(MONEY, st.decimals(min_value=0, max_value=1, places=3), st.sampled_from(["soft", "hard"]))
@settings(deadline=None)
def test_a_tier_begins_just_over_its_limit(high: Decimal, share: Decimal, tier: str) -> None:
    """DD-1: `>`, DD-4: soft stops entries, hard latches."""
    pct = Decimal({"soft": 8, "hard": 12}[tier])
    log = account(str(high), limits={"max_daily_loss": {"amount": 10**9, "pct": 100}})
    now = high * (1 - pct / 100)
    log.equity(str(now))
    before = log.core.trading_state
    log.equity(str(now - Decimal("0.01") - share))
    after = log.core.trading_state
    assert (before, after) == (("ACTIVE", "REDUCING") if tier == "soft" else ("REDUCING", "HALTED"))


@given(st.decimals(min_value=-4_000, max_value=20_000, places=2))
@settings(deadline=None)
def test_a_flow_in_the_middle_of_a_day_trips_neither_limit_and_hides_neither(flow: Decimal) -> None:
    """DD-1 and DL-3: the same 4 % are lost before and after it."""
    log = account()
    log.equity("10000", net_deposits=Decimal(0))
    log.equity("9600", net_deposits=Decimal(0))
    log.equity(str(9600 + flow), net_deposits=flow)
    state = log.core.state.equity
    assert loss(log) == 400
    assert state.high is not None
    assert abs(state.fall() / state.high - Decimal("0.04")) < Decimal("1e-11")
    assert not log.core.halts


def test_a_kept_high_water_mark_trips_again_and_a_rebased_one_does_not() -> None:
    """DD-3."""
    for rebase, causes in ((False, ["MAX_DRAWDOWN"]), (True, [])):
        log = account("10000", limits={"max_daily_loss": {"amount": 10**9, "pct": 100}})
        log.equity("8700")
        lifted = {halt.halt_id for halt in log.core.halts}
        log.arrive(*log.hold(log.core.resume_fact(lifted, "resume", log.now, rebase=rebase)))
        log.equity("8690")
        assert [halt.cause for halt in log.core.halts] == causes
        assert log.anew().dump() == log.core.dump()
