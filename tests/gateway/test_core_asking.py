"""UNKNOWN orders: they keep counting, their bot is asked, and only what it reports releases them (invariant 1)."""

from datetime import timedelta
from decimal import Decimal

import pytest

from fleet_contracts import BotCommand, Fact
from parts.account_log import AccountLog
from parts.trading import bot_event, done, fill, setup
from risk_gateway.core import report
from risk_gateway.core.account import Account
from risk_gateway.core.asking import ASKED_AT_ONCE_MAX, ASKED_MAX, PATIENCE_S

PAST = timedelta(seconds=16)
"""Past `decision_valid_s` and `hold_grace_s`."""


@pytest.fixture
def desk() -> AccountLog:
    return AccountLog(setup(max_open_orders=100))


def questions(desk: AccountLog) -> list[BotCommand]:
    """Every REPORT_ORDER in the log."""
    events = [entry.event for entry in desk.entries]
    return [event for event in events if isinstance(event, BotCommand) and event.command == "REPORT_ORDER"]


def wait(desk: AccountLog, time: timedelta = PAST) -> None:
    desk.now += time
    desk.settle()


def row(desk: AccountLog, number: int = 0) -> dict[str, object]:
    return report.reservations(desk.core, desk.now)[number]


def answer(desk: AccountLog, state: str, detail: str, bot: str = "qe1") -> None:
    desk.store(*bot_event("BOT_ACK", command_id=questions(desk)[-1].command_id, state=state, detail=detail, bot=bot))


def test_an_order_past_its_time_reads_unknown_keeps_counting_and_its_bot_is_asked(desk: AccountLog) -> None:
    desk.decide("a", qty="0.1")
    held = desk.core.state.exposure.gross
    wait(desk)
    (asked,) = questions(desk)
    assert (asked.bot, asked.params["order_id"], asked.params["symbol"]) == ("qe1", "a", "BTC-PERP")
    assert desk.core.state.exposure.gross == held > 0
    assert (row(desk)["state"], row(desk)["times_asked"]) == ("UNKNOWN", 1)
    assert [command.command_id for command in desk.core.open_commands("qe1", desk.now)] == [asked.command_id]


def test_an_order_its_bot_has_spoken_of_is_not_asked_about(desk: AccountLog) -> None:
    desk.decide("a")
    desk.store(*bot_event("ORDER_EVENT", order_id="a", status="WORKING"))
    wait(desk)
    assert questions(desk) == []


def test_an_order_within_its_time_is_not_asked_about(desk: AccountLog) -> None:
    desk.decide("a")
    wait(desk, timedelta(seconds=15))
    assert questions(desk) == []


def test_it_is_asked_again_with_more_patience_each_time_and_not_for_ever(desk: AccountLog) -> None:
    desk.decide("a")
    wait(desk)
    for seconds in PATIENCE_S:
        wait(desk, timedelta(seconds=seconds - 1))
        before = len(questions(desk))
        wait(desk, timedelta(seconds=2))
        assert len(questions(desk)) == min(before + 1, ASKED_MAX)
    wait(desk, timedelta(days=3))
    asked = questions(desk)
    assert len(asked) == ASKED_MAX
    assert len({command.command_id for command in asked}) == ASKED_MAX
    assert (row(desk)["state"], row(desk)["times_asked"]) == ("UNKNOWN", ASKED_MAX)


def test_never_sent_releases_it(desk: AccountLog) -> None:
    desk.decide("a", qty="0.1")
    wait(desk)
    desk.store(*done("a", "REJECTED", filled_qty=Decimal(0), detail="NEVER_SENT"))
    answer(desk, "DONE", "never sent")
    assert desk.core.state.orders == {}
    assert desk.core.state.inquiries == {}
    assert desk.core.state.exposure.gross == 0


def test_an_order_the_bot_finds_at_the_venue_is_held_again(desk: AccountLog) -> None:
    desk.decide("a")
    wait(desk)
    desk.store(*bot_event("ORDER_EVENT", order_id="a", status="WORKING"))
    answer(desk, "DONE", "1 report")
    assert (row(desk)["state"], row(desk)["times_asked"]) == ("HELD", 0)


def test_a_fill_nobody_had_heard_of_is_posted_and_its_rest_stays_held(desk: AccountLog) -> None:
    desk.decide("a", qty="0.1")
    wait(desk)
    desk.store(*fill("a", "f1", "0.04", "40000"))
    assert desk.core.state.exposure.book("BTC-PERP").position == Decimal("0.04")
    assert (row(desk)["state"], row(desk)["leaves_qty"]) == ("PARTLY_POSTED", "0.06")


@pytest.mark.parametrize("state", ["DONE", "FAILED"])
def test_a_bot_that_answers_without_a_report_releases_nothing(desk: AccountLog, state: str) -> None:
    desk.decide("a", qty="0.1")
    held = desk.core.state.exposure.gross
    wait(desk)
    answer(desk, state, "nobody knows")
    assert desk.core.state.exposure.gross == held
    assert (row(desk)["state"], row(desk)["bot_said"]) == ("UNKNOWN", f"{state}: nobody knows")
    wait(desk)
    assert len(questions(desk)) == 2


def test_what_another_bot_answers_is_nobody_s_answer(desk: AccountLog) -> None:
    desk.decide("a")
    wait(desk)
    answer(desk, "DONE", "mine", bot="qe2")
    assert row(desk)["bot_said"] is None


def test_an_order_closed_before_all_of_its_fills_is_asked_about_and_an_incomplete_answer_does_not_start_anew(
    desk: AccountLog,
) -> None:
    desk.decide("a", qty="0.1")
    desk.store(*done("a", "CANCELLED", filled_qty=Decimal("0.05")))
    wait(desk)
    desk.store(*done("a", "CANCELLED", filled_qty=Decimal("0.05")))
    wait(desk, timedelta(seconds=1))
    assert len(questions(desk)) == 1
    desk.store(*fill("a", "f1", "0.05", "40000"))
    assert desk.core.state.orders == {}


def test_with_very_many_unknown_orders_some_are_asked_about_at_a_time_and_all_in_the_end(desk: AccountLog) -> None:
    count = 2 * ASKED_AT_ONCE_MAX + 5
    for number in range(count):
        desk.decide(f"o{number}", qty="0.001")
    desk.now += PAST
    first = [fact for fact in desk.core.owed(desk.now) if isinstance(fact.event, BotCommand)]
    assert len(first) == ASKED_AT_ONCE_MAX
    desk.arrive(*desk.hold(*first))
    for _ in range(2):
        wait(desk, timedelta(seconds=1))
    assert len({command.params["order_id"] for command in questions(desk)}) == count


def test_a_question_on_its_way_is_not_asked_twice(desk: AccountLog) -> None:
    desk.decide("a")
    desk.now += PAST

    def due() -> list[Fact]:
        return [fact for fact in desk.core.owed(desk.now) if isinstance(fact.event, BotCommand)]

    desk.hold(*due())
    desk.now += timedelta(seconds=2)
    assert due() == []


def test_a_restart_remembers_what_was_asked(desk: AccountLog) -> None:
    """Invariant 7."""
    desk.decide("a")
    wait(desk)
    answer(desk, "FAILED", "not known")
    assert desk.anew().dump() == desk.core.dump()
    again = Account.load("main", desk.setup, desk.core.dump())
    assert again.dump() == desk.core.dump()
    assert again.state.inquiries == desk.core.state.inquiries
