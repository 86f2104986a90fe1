"""Commands: once each, not after their deadline, across restarts."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fleet_contracts import AckState, BotCommand
from fleet_sdk.core.commands import Commands, CommandState, Take

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)


def command(**changes: Any) -> BotCommand:
    return BotCommand(**({"command_id": "c-1", "bot": "qe1", "command": "PAUSE"} | changes))


def test_a_command_for_this_bot_or_all_is_started() -> None:
    assert Commands("qe1").take(command(), NOW) is Take.START
    assert Commands("qe1").take(command(bot="*"), NOW) is Take.START


def test_a_command_for_another_bot_is_ignored() -> None:
    assert Commands("qe1").take(command(bot="qe2"), NOW) is Take.IGNORE


def test_a_command_is_not_started_twice() -> None:
    commands = Commands("qe1")
    commands.started("c-1")
    assert commands.take(command(), NOW) is Take.IGNORE
    commands.finished("c-1", AckState.DONE)
    assert commands.take(command(), NOW) is Take.IGNORE


def test_a_command_past_its_deadline_is_ignored() -> None:
    assert Commands("qe1").take(command(deadline=NOW), NOW) is Take.IGNORE
    assert Commands("qe1").take(command(deadline=NOW + timedelta(seconds=1)), NOW) is Take.START


def test_a_command_done_by_an_earlier_process_is_not_done_again() -> None:
    assert Commands("qe1", {"c-1": CommandState.DONE}).take(command(), NOW) is Take.IGNORE


def test_a_command_in_which_an_earlier_process_died_is_answered_and_not_done_again() -> None:
    assert Commands("qe1", {"c-1": CommandState.STARTED}).take(command(), NOW) is Take.INTERRUPTED
