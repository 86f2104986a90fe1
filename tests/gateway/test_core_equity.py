"""Daily loss, drawdown and trusted equity: the rules of risk-semantics §4.1 to 4.3, one sentence each."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fleet_contracts import Entry, Equity, OrderDecision, Provenance, RiskLimits, parse, split_subject
from fleet_contracts.risk_config import AccountRisk
from parts.trading import RISK, equity, order
from risk_gateway.core.account import Account, Asked, NewDecision
from risk_gateway.core.equity import EquityState
from risk_gateway.core.rules import Setup, limits_fields, rules_of

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def rules(**day: object):  # type: ignore[no-untyped-def]
    setup = made(**day)
    return rules_of(RiskLimits(revision=1, **limits_fields(setup)))


def made(limits: dict[str, object] | None = None, **day: object) -> Setup:
    risk = {**RISK, "day": day or {}, "limits": {**RISK["limits"], **(limits or {})}}
    return Setup(AccountRisk.model_validate(risk), "wall", "qe1")  # type: ignore[arg-type]


class Desk:
    """An account with a clock of its own."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.core = Account("main", setup)
        self.now = NOON
        self.seq = 0
        self.settle()

    def store(self, subject: str, body: bytes, leader: str | None = None) -> None:
        self.seq += 1
        for line in parse(subject, body, Provenance("FLEET", self.seq, self.now)).lines:
            self.core.evolve(Entry(split_subject(subject), line.event, line.raw, self.seq, line.index, self.now, leader))

    def settle(self) -> None:
        while facts := self.core.owed(self.core.now(self.now)):
            for fact in facts:
                self.core.hold(fact)
                self.store(f"fleet.main.{fact.event.event_type.lower()}.risk-gateway", fact.line, "gw.1")
                self.core.drop(fact)

    def equity(self, amount: str, **more: object) -> None:
        self.store(*equity(amount, self.now, **more))
        self.settle()

    def ask(self, qty: str = "0.01") -> str:
        judged = self.core.judge(Asked(order(f"o{self.seq}", qty=qty), "qe1", "http", self.core.now(self.now)))
        assert isinstance(judged, NewDecision)
        assert isinstance(judged.fact.event, OrderDecision)
        return judged.fact.event.reason

    def restart(self) -> None:
        self.core = Account.load("main", self.setup, self.core.dump())


def test_before_any_equity_entries_are_denied() -> None:
    assert Desk(made()).ask() == "STALE_EQUITY"


def test_equity_over_its_age_denies_entries() -> None:
    desk = Desk(made())
    desk.equity("10000")
    desk.now += timedelta(seconds=30)
    assert desk.ask() == "OK"
    desk.now += timedelta(seconds=1)
    assert desk.ask() == "STALE_EQUITY"


def test_a_loss_exactly_at_the_limit_trips_and_stays_latched_across_a_restart() -> None:
    desk = Desk(made())
    desk.equity("10000")
    desk.equity("9500.01")
    assert desk.ask() == "OK"
    desk.equity("9500")
    assert desk.ask() == "DAILY_LOSS"
    desk.equity("10000")
    assert desk.ask() == "DAILY_LOSS", "a recovery does not lift a latch"
    desk.restart()
    assert desk.ask() == "DAILY_LOSS"


def test_the_lower_of_amount_and_percentage_wins() -> None:
    desk = Desk(made())
    desk.equity("2000")
    desk.equity("1900")
    assert desk.ask() == "DAILY_LOSS"


@pytest.mark.parametrize("flow", ["-4000", "4000"])
def test_a_deposit_or_withdrawal_is_neither_loss_nor_gain(flow: str) -> None:
    desk = Desk(made())
    desk.equity("10000", net_deposits=Decimal(0))
    desk.equity(str(Decimal(10000) + Decimal(flow)), net_deposits=Decimal(flow))
    assert desk.core.state.equity.daily_loss() == 0
    assert desk.core.state.equity.fall() == 0
    assert desk.ask() == "OK"


def test_a_flow_never_changes_the_drawdown() -> None:
    """DD-1, both cases of the facts: no false trip by a withdrawal, no loss hidden by a deposit."""
    for flow in ("-80", "900"):
        state = EquityState()
        known = rules()
        state.observe(_event("100", 0), NOON, known)
        state.observe(_event("90", 0), NOON, known)
        state.observe(_event(str(90 + Decimal(flow)), flow), NOON, known)
        assert state.high is not None
        drawdown = state.fall() / state.high
        assert abs(drawdown - Decimal("0.1")) < Decimal("1e-11"), flow


@given(
    equities=st.lists(st.decimals(min_value=1, max_value=10**6, places=2), min_size=2, max_size=10),
    flow=st.decimals(min_value=1, max_value=10**6, places=2),
)
def test_a_deposit_at_any_moment_keeps_the_drawdown_ratio(equities: list[Decimal], flow: Decimal) -> None:
    state, known = EquityState(), rules()
    for amount in equities:
        state.observe(_event(str(amount), 0), NOON, known)
    before = state.fall() / state.high  # type: ignore[operator]
    state.observe(_event(str(equities[-1] + flow), str(flow)), NOON, known)
    assert abs(state.fall() / state.high - before) < Decimal("1e-9")  # type: ignore[operator]


def test_an_untrusted_figure_may_raise_the_reading_and_never_lower_it() -> None:
    desk = Desk(made())
    desk.equity("10000")
    desk.equity("9700")
    desk.equity("9900", priced=False)
    assert desk.core.state.equity.daily_loss() == 300
    desk.equity("9600", priced=False)
    assert desk.core.state.equity.daily_loss() == 400
    assert desk.ask() == "EQUITY_UNTRUSTED"


def test_an_untrusted_spike_moves_neither_the_peak_nor_the_day_base() -> None:
    desk = Desk(made())
    desk.equity("99999", priced=False)
    assert desk.core.state.equity.high is None
    assert desk.core.state.equity.base is None
    desk.equity("10000")
    assert desk.core.state.equity.high == 10000
    assert desk.core.state.equity.base is not None


def test_an_older_observation_never_replaces_a_newer_one() -> None:
    desk = Desk(made())
    desk.equity("10000")
    desk.store(*equity("5000", desk.now - timedelta(seconds=5)))
    assert desk.core.state.equity.equity == 10000


def test_only_the_equity_source_counts() -> None:
    desk = Desk(made())
    desk.equity("10000")
    desk.store(*equity("1", desk.now, bot="qe2"))
    assert desk.core.state.equity.equity == 10000


def test_over_the_soft_drawdown_no_entries_and_over_the_hard_one_a_latched_halt() -> None:
    wide = {"max_daily_loss": {"amount": 100000, "pct": 100}}
    desk = Desk(made(wide))
    desk.equity("10000")
    desk.equity("9200")
    assert desk.ask() == "OK", "8 % is not over 8 %"
    desk.equity("9199.99")
    assert desk.ask() == "REDUCE_ONLY_MODE"
    assert desk.core.state.trading_state == "REDUCING"
    desk.equity("9500")
    assert desk.ask() == "OK", "the soft tier is not latched"
    desk.equity("8799.99")
    assert desk.ask() == "MAX_DRAWDOWN"
    desk.equity("10000")
    assert desk.ask() == "MAX_DRAWDOWN"


def test_a_new_day_has_no_base_until_trusted_equity_arrives_and_keeps_the_latch() -> None:
    desk = Desk(made())
    desk.equity("10000")
    desk.equity("9000")
    desk.now += timedelta(hours=12)
    desk.equity("9000")
    assert desk.core.state.equity.daily_loss() == 0
    assert desk.ask() == "DAILY_LOSS", "it stays until a person lifts it"


def test_with_auto_resume_the_day_halt_ends_with_the_day() -> None:
    wide = {"max_drawdown": {"soft_pct": 50, "hard_pct": 60}}
    desk = Desk(made(wide, auto_resume=True))
    desk.equity("10000")
    desk.equity("9000")
    assert desk.ask() == "DAILY_LOSS"
    desk.now += timedelta(hours=12)
    desk.equity("9000")
    assert desk.ask() == "OK"


def test_a_resumed_halt_trips_again_with_the_next_equity_while_the_cause_remains() -> None:
    desk = Desk(made())
    desk.equity("10000")
    desk.equity("9000")
    ids = {halt.halt_id for halt in desk.core.halts}
    fact = desk.core.resume_fact(ids, "resume", desk.now)
    desk.store("fleet.main.risk_state.risk-gateway", fact.line, "gw.1")
    desk.settle()
    assert not desk.core.halts
    desk.equity("9000")
    assert [halt.cause for halt in desk.core.halts] == ["DAILY_LOSS"]


@pytest.mark.parametrize(
    ("zone", "cutoff", "moment", "day"),
    [
        ("UTC", "00:00", "2026-03-10T00:00:00+00:00", "2026-03-10"),
        ("UTC", "17:00", "2026-03-10T16:59:59+00:00", "2026-03-09"),
        ("America/New_York", "17:00", "2026-03-10T21:00:00+00:00", "2026-03-10"),
        ("America/New_York", "17:00", "2026-03-10T20:59:59+00:00", "2026-03-09"),
        ("Europe/Berlin", "00:00", "2026-03-29T21:59:59+00:00", "2026-03-29"),  # a day of 23 hours
        ("Europe/Berlin", "00:00", "2026-03-29T22:00:00+00:00", "2026-03-30"),
        ("Europe/Berlin", "00:00", "2026-10-25T22:59:59+00:00", "2026-10-25"),  # a day of 25 hours
        ("Europe/Berlin", "00:00", "2026-10-25T23:00:00+00:00", "2026-10-26"),
    ],
)
def test_the_trading_day_follows_zone_and_cutoff(zone: str, cutoff: str, moment: str, day: str) -> None:
    assert rules(zone=zone, cutoff=cutoff).day_of(datetime.fromisoformat(moment)) == day


def _event(amount: str, deposits: object):  # type: ignore[no-untyped-def]
    return Equity(equity=Decimal(amount), net_deposits=Decimal(str(deposits)), event_id="e")
