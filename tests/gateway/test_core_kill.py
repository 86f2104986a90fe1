"""A kill, followed from the request until it is flat: every stage, every way it can fail, and that nothing is forgotten.

One file, though long: the stages follow one another, and each test begins where the one before has led.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from fleet_contracts import Anomaly, BotCommand, Halt, RiskState
from parts.account_log import AccountLog
from parts.trading import bot_event, done, fill, setup
from risk_gateway.core.account import Account
from risk_gateway.core.checklist import NAMES, checklist
from risk_gateway.core.kill import TURNS_MAX, Kill, Stage
from risk_gateway.core.scope import scope_of

SETUP = replace(setup(), bots=("qe1",))
ACK_S, FLAT_S = 10, 60


class Killed(AccountLog):
    """An account with a position of 0.01, and a kill."""

    def __init__(self, *, position: str | None = "0.01", scope: str = "account", bots: tuple[str, ...] = ("qe1",)) -> None:
        super().__init__(replace(SETUP, bots=bots))
        if position is not None:
            self.decide("in", qty=position)
            self.store(*fill("in", "f1", position, "40000", "FILLED"))
        self.press("k", scope)

    def press(self, halt_id: str, scope: str = "account") -> None:
        halt = Halt(halt_id=halt_id, scope=scope, cause="KILL_SWITCH", since=self.now, by="ops", flatten=True)
        self.core.latch(halt)
        self.settle()

    @property
    def kill(self) -> Kill:
        return self.core.state.kills["k"]

    def commands(self) -> list[BotCommand]:
        return [entry.event for entry in self.entries if isinstance(entry.event, BotCommand)]

    def anomalies(self) -> list[Anomaly]:
        return [entry.event for entry in self.entries if isinstance(entry.event, Anomaly)]

    def ack(self, state: str = "DONE", bot: str = "qe1", attempt: int = 1, detail: str | None = None) -> None:
        """The bot answers every command of an attempt."""
        for command in self.commands():
            if command.params["attempt"] == attempt and command.bot in ("*", bot):
                self.store(*bot_event("BOT_ACK", self.now, bot=bot, command_id=command.command_id, state=state, detail=detail))
        self.settle()

    def close(self) -> None:
        """The position is closed by an order that only reduces."""
        self.reduce("out")

    def reduce(self, order_id: str) -> None:
        """A reduction is asked for, allowed or not, and filled."""
        self.decide(order_id, side="SELL", reduce_only=True)
        self.store(*fill(order_id, f"f-{order_id}", "0.01", "40000", "FILLED"))
        self.settle()

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.settle()


def test_a_kill_is_requested_delivered_acknowledged_and_flat_each_with_its_time_and_evidence() -> None:
    log = Killed()
    assert log.kill.stage is Stage.DELIVERED
    assert [(command.bot, command.command) for command in log.commands()] == [
        ("qe1", "CANCEL_ORDERS"),
        ("qe1", "CLOSE_POSITIONS"),
    ]
    log.later(1)
    log.ack("ACCEPTED")
    assert log.kill.stage is Stage.ACKNOWLEDGED
    log.later(1)
    log.close()
    kill = log.kill
    assert kill.stage is Stage.FLAT
    assert kill.delivered and kill.acknowledged and kill.flat
    assert kill.requested.at <= kill.delivered.at < kill.acknowledged.at < kill.flat.at
    ids = {entry.event.event_id for entry in log.entries}
    assert {kill.requested.evidence, kill.acknowledged.evidence, kill.flat.evidence} <= ids
    assert log.anomalies() == []


def test_silence_is_never_taken_for_flat() -> None:
    log = Killed(position=None)
    log.later(1)
    assert log.kill.stage is Stage.DELIVERED, "the fold shows nothing open, but the bot has not answered"
    log.ack()
    assert log.kill.stage is Stage.FLAT


def test_a_live_order_is_not_flat() -> None:
    log = Killed()
    log.ack("ACCEPTED")
    log.decide("out", side="SELL", reduce_only=True)
    log.store(*fill("out", "f2", "0.01", "40000"))
    assert log.kill.stage is Stage.ACKNOWLEDGED, "no position, but the order may still fill"
    log.store(*done("out"))
    log.settle()
    assert log.kill.stage is Stage.FLAT


def test_no_answer_in_time_escalates_once_and_repeats_the_commands_once() -> None:
    log = Killed()
    log.later(ACK_S - 0.001)
    assert log.kill.stage is Stage.DELIVERED
    log.later(0.001)
    assert log.kill.stage is Stage.NOT_ACKNOWLEDGED
    assert log.core.state.manual_close_needed
    assert [(one.kind, one.cause) for one in log.anomalies()] == [("NOT_ACKNOWLEDGED", "k")]
    assert log.anomalies()[0].evidence["open"] == ["position BTC-PERP"]
    assert [command.params["attempt"] for command in log.commands()] == [1, 1, 2, 2]
    for _ in range(5):
        log.later(100)
    assert len(log.commands()) == 4
    assert len(log.anomalies()) == 1


def test_a_late_answer_to_the_repeat_still_counts_and_flat_ends_the_need_for_a_person() -> None:
    log = Killed()
    log.later(ACK_S)
    log.ack("ACCEPTED", attempt=2)
    assert log.kill.stage is Stage.ACKNOWLEDGED
    assert log.core.state.manual_close_needed, "until it is flat, a person looks after it"
    log.close()
    assert log.kill.stage is Stage.FLAT
    assert not log.core.state.manual_close_needed


def test_a_bot_that_takes_the_command_and_does_not_close_is_not_flat() -> None:
    log = Killed()
    log.ack("ACCEPTED")
    log.later(FLAT_S - 0.001)
    assert log.kill.stage is Stage.ACKNOWLEDGED
    log.later(0.001)
    assert log.kill.stage is Stage.NOT_FLAT
    assert log.core.state.manual_close_needed
    assert [one.kind for one in log.anomalies()] == ["NOT_FLAT"]


def test_a_bot_that_says_it_failed_escalates_at_once() -> None:
    log = Killed()
    log.ack("FAILED", detail="this bot handles no commands")
    assert log.kill.stage is Stage.NOT_ACKNOWLEDGED
    assert log.anomalies()[0].evidence["commands"][0]["detail"] == "this bot handles no commands"


def test_every_bot_of_the_account_has_to_answer() -> None:
    log = Killed(bots=("qe1", "qe2"))
    log.ack(bot="qe1")
    assert log.kill.stage is Stage.DELIVERED
    log.ack(bot="qe2")
    assert log.kill.acknowledged is not None


def test_one_bot_does_not_answer_for_another() -> None:
    log = Killed()
    for command in log.commands():
        log.store(*bot_event("BOT_ACK", log.now, bot="qe2", command_id=command.command_id, state="DONE"))
    assert log.kill.acknowledged is None


def test_what_opens_again_after_flat_is_not_flat_and_needs_a_person() -> None:
    log = Killed()
    log.ack()
    log.close()
    log.store(*fill("in", "late", "0.002", "40000"))
    log.settle()
    assert log.kill.stage is Stage.NOT_FLAT
    assert log.core.state.manual_close_needed


def test_a_bot_that_opens_and_closes_for_ever_does_not_make_us_write_for_ever() -> None:
    log = Killed()
    log.ack()
    log.close()
    for number in range(3 * TURNS_MAX):
        log.store(*fill("in", f"a{number}", "0.001", "40000"))
        log.settle()
        log.store(*fill("out", f"b{number}", "0.001", "40000"))
        log.settle()
    states = [entry.event for entry in log.entries if isinstance(entry.event, RiskState)]
    assert log.kill.turns == TURNS_MAX
    assert len(states) < 3 * TURNS_MAX


@pytest.mark.parametrize("late", [False, True])
def test_the_last_word_on_a_bot_that_opens_and_closes_for_ever_is_that_a_person_is_needed(late: bool) -> None:
    log = Killed()
    log.later(ACK_S + 1 if late else 1)
    log.ack(attempt=2 if late else 1)
    log.close()
    for number in range(2 * TURNS_MAX):
        log.store(*fill("in", f"a{number}", "0.001", "40000"))
        log.settle()
        log.store(*fill("out", f"b{number}", "0.001", "40000"))
        log.settle()
    log.store(*fill("in", "last", "0.001", "40000"))
    log.settle()
    assert log.kill.stage is Stage.NOT_FLAT
    assert log.core.state.manual_close_needed


@pytest.mark.parametrize(
    ("scope", "own", "other_bot", "other_symbol"),
    [
        ("account", "KILL_SWITCH", "KILL_SWITCH", "KILL_SWITCH"),
        ("bot:qe1", "KILL_SWITCH", "OK", "KILL_SWITCH"),
        ("symbol:BTC-PERP", "KILL_SWITCH", "KILL_SWITCH", "OK"),
        ("a scope of tomorrow", "KILL_SWITCH", "KILL_SWITCH", "KILL_SWITCH"),
    ],
)
def test_a_scope_denies_its_own_openings_and_no_others(scope: str, own: str, other_bot: str, other_symbol: str) -> None:
    log = Killed(scope=scope)
    assert log.decide("a").reason == own
    assert log.decide("b", source="qe2").reason == other_bot
    assert log.decide("c", symbol="ETH-PERP", price="3000").reason == other_symbol


@pytest.mark.parametrize("scope", ["account", "bot:qe1", "symbol:BTC-PERP"])
def test_a_reduction_passes_every_kill(scope: str) -> None:
    """Invariant 4: limits and halts never deny a reduction."""
    assert Killed(scope=scope).decide("out", side="SELL", reduce_only=True).reason == "OK"


def test_an_allow_on_its_way_is_void_only_where_a_scoped_halt_reaches_it() -> None:
    """Invariant 4."""
    log = AccountLog(SETUP)
    mine, other = log.hold(log.judge("a"), log.judge("b", symbol="ETH-PERP", price="3000"))
    log.core.latch(Halt(halt_id="h", scope=scope_of(symbol="BTC-PERP"), cause="KILL_SWITCH", since=log.now))
    assert log.core.release_reason(mine) == "KILL_SWITCH"
    assert log.core.release_reason(other) is None


def test_the_reason_is_that_of_the_oldest_halt_that_reaches_the_order() -> None:
    log = AccountLog(SETUP)
    log.core.latch(Halt(halt_id="a", scope="bot:qe1", cause="MAX_DRAWDOWN", since=log.now))
    log.core.latch(Halt(halt_id="b", cause="KILL_SWITCH", since=log.now + timedelta(seconds=1)))
    log.settle()
    assert log.decide("a").reason == "MAX_DRAWDOWN"
    assert log.decide("b", source="qe2").reason == "KILL_SWITCH"


def test_a_scoped_kill_tells_its_own_bot_or_names_its_symbol() -> None:
    assert {command.bot for command in Killed(scope="bot:qe2", bots=("qe1", "qe2")).commands()} == {"qe2"}
    assert {command.params.get("symbol") for command in Killed(scope="symbol:BTC-PERP").commands()} == {"BTC-PERP"}


def test_a_bot_is_flat_when_its_own_fills_are_whatever_another_bot_holds() -> None:
    log = Killed(scope="bot:qe1", bots=("qe1", "qe2"))
    log.decide("theirs", source="qe2", qty="0.02")
    log.store(*fill("theirs", "f", "0.02", "40000", "FILLED", bot="qe2"))
    log.ack()
    assert log.kill.stage is Stage.ACKNOWLEDGED
    log.close()
    assert log.kill.stage is Stage.FLAT


def test_a_scoped_kill_leaves_the_account_active() -> None:
    log = Killed(scope="symbol:BTC-PERP")
    assert log.core.trading_state == "ACTIVE"
    assert log.core.state.trading_state == "ACTIVE"


def test_a_hard_limit_is_followed_like_a_kill_and_its_silence_escalates() -> None:
    log = AccountLog(SETUP)
    log.decide("in")
    log.store(*fill("in", "f1", "0.01", "40000", "FILLED"))
    log.equity("9500")
    (kill,) = log.core.state.kills.values()
    assert kill.stage is Stage.DELIVERED
    log.now += timedelta(seconds=ACK_S)
    log.settle()
    assert kill.stage is Stage.NOT_ACKNOWLEDGED
    assert log.core.state.manual_close_needed


def test_without_close_positions_a_hard_limit_needs_a_person_until_the_account_is_flat() -> None:
    by_hand = replace(SETUP, risk=SETUP.risk.model_copy(update={"on_hard_breach": "manual_close_needed"}))
    log = AccountLog(by_hand)
    log.decide("in")
    log.store(*fill("in", "f1", "0.01", "40000", "FILLED"))
    log.equity("9500")
    assert log.core.state.manual_close_needed
    assert not [entry for entry in log.entries if isinstance(entry.event, BotCommand)]
    log.decide("out", side="SELL", reduce_only=True)
    log.store(*fill("out", "f2", "0.01", "40000", "FILLED"))
    log.settle()
    assert not log.core.state.manual_close_needed


def test_a_resume_ends_the_kill_and_the_need_for_a_person() -> None:
    log = Killed()
    log.later(ACK_S)
    log.arrive(*log.hold(log.core.resume_fact({"k"}, "resume", log.now)))
    log.core.unlatch("k")
    log.settle()
    assert log.core.state.kills == {}
    assert not log.core.state.manual_close_needed
    assert len(log.commands()) == 4, "an answered matter is not taken up again"


ACTIONS: dict[str, Callable[[Killed, int], None]] = {
    "accepted": lambda log, _: log.ack("ACCEPTED"),
    "done": lambda log, _: log.ack("DONE"),
    "failed": lambda log, _: log.ack("FAILED"),
    "the repeat done": lambda log, _: log.ack("DONE", attempt=2),
    "closed": lambda log, number: log.reduce(f"out{number}"),
    "a late fill": lambda log, number: log.store(*fill("in", f"late{number}", "0.001", "40000")),
    "a while": lambda log, _: log.later(ACK_S),
    "a long while": lambda log, _: log.later(FLAT_S + 1),
    "another kill": lambda log, number: log.press(f"k{number}", "symbol:BTC-PERP"),
}


@given(st.lists(st.sampled_from(sorted(ACTIONS)), max_size=12), st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_a_restart_or_failover_at_any_moment_forgets_nothing(actions: list[str], cut: int) -> None:
    """Invariant 7, and that a new leader owes exactly what the old one did."""
    log = Killed()
    for number, action in enumerate(actions):
        if number == cut:
            log.core = Account.load("main", log.setup, log.core.dump())
        ACTIONS[action](log, number)
    log.settle()
    assert log.core.dump() == log.anew().dump()
    assert log.anew().owed(log.now) == []


def test_positions_that_differ_from_the_venues_are_on_the_checklist_of_a_resume() -> None:
    log = AccountLog(replace(setup(position_drift_qty=0), bots=("qe1",)))
    log.halt("h")
    log.equity("10000", positions=[{"symbol": "ETH-PERP", "qty": "2"}])
    items = {item.name: item for item in checklist(log.core, {"h"}, log.now)}
    assert [name for name, item in items.items() if not item.clean] == ["POSITION_DRIFT"]
    assert items["POSITION_DRIFT"].detail == "positions differ: ETH-PERP (by fills 0, reported 2)"


def test_the_items_of_the_checklist_are_those_that_can_be_overridden() -> None:
    log = Killed()
    assert {item.name for item in checklist(log.core, {"k"}, log.now)} == NAMES
