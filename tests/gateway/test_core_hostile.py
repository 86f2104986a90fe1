"""What somebody could try to get past the core: halts that push out halts, words of others, an id used again."""

from datetime import timedelta

import pytest

from fleet_contracts import Halt, Reason, TradingState, encode
from parts.account_log import AccountLog
from parts.trading import fill, order, setup
from risk_gateway.core import reservations
from risk_gateway.core.account import Asked, Repeat
from risk_gateway.core.owed import HALTS_MAX


@pytest.fixture
def log() -> AccountLog:
    return AccountLog(setup())


def latch(log: AccountLog, halt_id: str, scope: str = "account", cause: str = "KILL_SWITCH", **more: object) -> None:
    fields: dict[str, object] = {"since": log.now, "by": "ops", **more}
    log.core.latch(Halt.model_validate({"halt_id": halt_id, "scope": scope, "cause": cause, **fields}))


def lift(log: AccountLog, *halt_ids: str, rebase: bool = False) -> None:
    log.arrive(*log.hold(log.core.resume_fact(set(halt_ids), "cmd", log.now, rebase=rebase)))


def test_a_resume_lifts_what_it_names_and_no_other_however_many_halts_are_in_force(log: AccountLog) -> None:
    for number in range(HALTS_MAX):
        latch(log, f"h{number}", f"symbol:S{number}")
    log.settle()
    log.equity("8000")
    assert len(log.core.state.halts) == HALTS_MAX + 2
    lift(log, "h0")
    assert list(log.core.state.resumed) == ["h0"]
    assert {"DAILY_LOSS", "MAX_DRAWDOWN"} < {halt.cause for halt in log.core.state.halts.values()}


def test_older_latches_that_are_not_recorded_yet_push_out_no_recorded_halt(log: AccountLog) -> None:
    for number in range(HALTS_MAX):
        latch(log, f"recorded{number}", since=log.now + timedelta(seconds=1))
    log.settle()
    for number in range(50):
        latch(log, f"early{number}")
    lift(log, "early0")
    assert list(log.core.state.resumed) == ["early0"]
    assert len(log.core.halts) == HALTS_MAX + 49


def test_the_drawdown_never_counts_anew_from_an_untrusted_equity(log: AccountLog) -> None:
    log.equity("9000")
    log.equity("20000", priced=False)
    lift(log, *(halt.halt_id for halt in log.core.halts), rebase=True)
    assert str(log.core.state.equity.high) == "9000"


def test_a_halt_of_a_bot_hides_no_limit_that_the_account_passes(log: AccountLog) -> None:
    latch(log, "narrow", "bot:qe9", "DAILY_LOSS")
    log.settle()
    log.equity("9400")
    assert log.core.trading_state is TradingState.HALTED
    assert {halt.scope for halt in log.core.state.halts.values()} == {"bot:qe9", "account"}


@pytest.mark.parametrize("leader", [None, "qe1.1"])
def test_nobody_but_the_gateway_lifts_a_halt_or_sets_a_limit(log: AccountLog, leader: str | None) -> None:
    log.halt("h1")
    limits = log.core.state.limits
    assert limits is not None
    raised = limits.model_copy(update={"source": "qe1", "revision": 9})
    log.store("fleet.main.risk_limits.qe1", encode(raised), leader=leader)
    lifted = b'{"event_type":"RISK_STATE","trading_state":"ACTIVE","halts":[],"manual_close_needed":false}'
    log.store("fleet.main.risk_state.qe1", lifted, leader=leader)
    assert log.core.state.rules is not None
    assert log.core.state.rules.revision == 1
    assert log.said().reason == Reason.KILL_SWITCH


def test_an_allow_is_not_repeated_when_the_mode_has_been_switched_off(log: AccountLog) -> None:
    log.decide("a")
    log.core.shut = lambda _: Reason.MODE_OFF
    again = log.core.judge(Asked(order("a"), "qe1", "http", log.now))
    assert isinstance(again, Repeat)
    assert again.reason is Reason.MODE_OFF


def test_a_bot_that_invents_symbols_fills_no_memory(log: AccountLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservations, "UNLISTED_MAX", 3)
    for number in range(10):
        log.store(*fill(f"x{number}", f"f{number}", "1", "1", "FILLED", symbol=f"S{number}", side="BUY"))
    state = log.core.state
    assert [symbol for symbol in state.exposure.books if symbol.startswith("S")] == ["S0", "S1", "S2"]
    assert (state.ungated_fills, state.unplaced_fills, state.coverage.ungated) == (3, 7, 10)
    log.store(*fill("y", "f10", "1", "40000", "FILLED", symbol="BTC-PERP", side="BUY"))
    log.store(*fill("z", "f11", "1", "1", "FILLED", symbol="S0", side="BUY"))
    assert (str(state.exposure.book("BTC-PERP").position), str(state.exposure.book("S0").position)) == ("1", "2")
    assert log.anew().dump().head == log.core.dump().head
