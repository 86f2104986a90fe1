"""Halt, kill, close and resume as people press them: in process over the in-memory log."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fleet_chassis.log import LogUnavailable
from fleet_contracts import BotCommand, Fact, OperatorCommand, Reason, parse
from parts.http_front import ORDER, Front, opened
from parts.trading import bot_event, equity, fill

RESUME = {"reason": "looked into it", "phrase": "resume main"}


@pytest_asyncio.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with opened(tmp_path) as front:
        yield front


def events(front: Front, kind: type) -> list[Any]:
    lines = [line for message in front.log.messages for line in parse(message.subject, message.body).lines]
    return [line.event for line in lines if isinstance(line.event, kind)]


async def halts(front: Front) -> dict[str, Any]:
    found: dict[str, Any] = (await front.get("halts")).json()
    return found


async def until(front: Front, stage: str) -> dict[str, Any]:
    """Wait until the oldest halt is at a stage."""
    async with asyncio.timeout(5):
        while (row := next(iter((await halts(front))["items"]), {})).get("stage") != stage:
            await asyncio.sleep(0.02)
    return row


async def told(front: Front, count: int = 2) -> list[BotCommand]:
    async with asyncio.timeout(5):
        while len(found := events(front, BotCommand)) < count:
            await asyncio.sleep(0.02)
    return found


async def answer(front: Front, state: str = "DONE") -> None:
    for command in await told(front):
        front.log.store(*bot_event("BOT_ACK", datetime.now(UTC), command_id=command.command_id, state=state))


async def hold_position(front: Front) -> None:
    await front.ask(ORDER)
    front.log.store(*fill("a", "f1", "0.01", "40000", "FILLED"))
    async with asyncio.timeout(5):
        while front.shard.core.state.orders:
            await asyncio.sleep(0.01)


async def test_one_press_of_the_kill_switch_shows_all_four_states_with_time_and_evidence(front: Front) -> None:
    await hold_position(front)
    pressed = await front.post("kill", {"reason": "orders keep coming"})
    assert pressed.status_code == 200
    halt = pressed.json()["halt"]
    assert (pressed.json()["trading_state"], halt["cause"], halt["recorded"]) == ("HALTED", "KILL_SWITCH", True)
    await until(front, "DELIVERED")
    await answer(front, "ACCEPTED")
    row = await until(front, "ACKNOWLEDGED")
    assert row["open"] == ["position BTC-PERP"]
    front.log.store(*fill("out", "f2", "0.01", "40000", "FILLED", symbol="BTC-PERP", side="SELL"))
    row = await until(front, "FLAT")
    assert all(set(stage) == {"at", "evidence"} for stage in row["stages"].values())
    assert {answer["state"] for answer in row["answers"]} == {"ACCEPTED"}


async def test_a_kill_works_without_the_log_by_its_latch_file(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: Any, **__: Any) -> Any:
        raise LogUnavailable("gone")

    monkeypatch.setattr(front.log, "append", gone)
    pressed = await front.post("kill", {"reason": "the bus is gone too"})
    assert (pressed.status_code, pressed.json()["halt"]["recorded"]) == (200, False)
    (latch,) = (tmp_path / "latch" / "main").glob("*.json")
    assert json.loads(latch.read_text())["flatten"] is True
    assert (await halts(front))["items"][0]["stage"] == "REQUESTED"


async def test_pressing_again_joins_the_kill_under_way_and_another_scope_is_another_kill(front: Front) -> None:
    presses = [await front.post("kill", {"reason": "press it"}) for _ in range(3)]
    assert len({press.json()["halt"]["halt_id"] for press in presses}) == 1
    await front.post("kill", {"reason": "press it", "symbol": "ETH-PERP"})
    assert [row["scope"] for row in (await halts(front))["items"]] == ["account", "symbol:ETH-PERP"]
    assert [command.command for command in events(front, OperatorCommand)] == ["kill"] * 4


@pytest.mark.parametrize("route", ["halt", "kill", "positions/close"])
async def test_a_misspelt_bot_or_symbol_is_said_instead_of_stopping_nothing(front: Front, route: str) -> None:
    for scope, known in (({"bot": "qe11"}, "qe1"), ({"symbol": "BTCPERP"}, "BTC-PERP, ETH-PERP")):
        refused = await front.post(route, {"reason": "stop it", **scope})
        assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_REQUEST")
        assert f"there are: {known}" in refused.json()["detail"]
    both = await front.post(route, {"reason": "stop it", "bot": "qe1", "symbol": "BTC-PERP"})
    assert both.status_code == 422
    assert (await halts(front))["items"] == []


async def test_a_halted_symbol_denies_its_openings_only(front: Front) -> None:
    halted = (await front.post("halt", {"reason": "odd prices", "symbol": "BTC-PERP"})).json()
    assert halted["trading_state"] == "ACTIVE"
    assert (await front.ask(ORDER)).json()["reason"] == "KILL_SWITCH"
    other = {**ORDER, "order_id": "b", "symbol": "ETH-PERP", "price": "3000"}
    assert (await front.ask(other)).json()["reason"] == "OK"


async def test_closing_tells_the_bots_and_halts_nothing(front: Front) -> None:
    closed = await front.post("positions/close", {"reason": "over the weekend", "symbol": "BTC-PERP"})
    (command,) = await told(front, 1)
    assert closed.json()["commands"] == [command.command_id]
    assert (command.bot, command.command, command.params["symbol"]) == ("qe1", "CLOSE_POSITIONS", "BTC-PERP")
    assert (await halts(front))["items"] == []


async def test_resuming_takes_an_approver(front: Front) -> None:
    await front.post("halt", {"reason": "stop it"})
    assert (await front.post("resume", RESUME, "operator")).status_code == 403
    assert (await front.post("resume", RESUME, "approver")).status_code == 200


async def test_what_is_not_in_order_has_to_be_overridden_item_by_item_with_a_reason(front: Front) -> None:
    await hold_position(front)
    await front.post("kill", {"reason": "stop it"})
    await until(front, "DELIVERED")
    shown = {item["item"]: item["clean"] for item in (await halts(front))["checklist"]}
    assert [name for name, clean in shown.items() if not clean] == ["NOT_ACKNOWLEDGED", "NOT_FLAT"]
    refused = await front.post("resume", RESUME, "approver")
    assert (refused.status_code, refused.json()["code"]) == (409, "CHECKLIST_NOT_CLEAN")
    assert [error["field"] for error in refused.json()["errors"]] == ["NOT_ACKNOWLEDGED", "NOT_FLAT"]
    one = {**RESUME, "overrides": {"NOT_ACKNOWLEDGED": "the bot is gone for good"}}
    refused = await front.post("resume", one, "approver")
    assert [error["field"] for error in refused.json()["errors"]] == ["NOT_FLAT"]
    both = {**one, "overrides": {**one["overrides"], "NOT_FLAT": "the position is meant to stay"}}
    assert (await front.post("resume", both, "approver")).status_code == 200
    (command,) = [command for command in events(front, OperatorCommand) if command.command == "resume"]
    assert command.target["overrides"] == both["overrides"]
    assert command.by == "approver"


@pytest.mark.parametrize("overrides", [{"NOT_FLAT": "x"}, {"EVERYTHING": "just do it"}])
async def test_an_override_without_a_reason_or_of_no_item_is_refused(front: Front, overrides: dict[str, str]) -> None:
    await front.post("halt", {"reason": "stop it"})
    refused = await front.post("resume", {**RESUME, "overrides": overrides}, "approver")
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_REQUEST")


async def test_a_loss_that_remains_is_on_the_list_and_halts_again_after_an_override(front: Front) -> None:
    front.log.store(*equity("9400", datetime.now(UTC)))
    await until(front, "DELIVERED")
    await answer(front)
    await until(front, "FLAT")
    refused = await front.post("resume", RESUME, "approver")
    assert [error["field"] for error in refused.json()["errors"]] == ["DAILY_LOSS"]
    lifted = await front.post("resume", {**RESUME, "overrides": {"DAILY_LOSS": "we go on today"}}, "approver")
    assert lifted.status_code == 200
    front.log.store(*equity("9400", datetime.now(UTC)))
    row = await until(front, "DELIVERED")
    assert row["cause"] == "DAILY_LOSS"


async def test_the_drawdown_counts_anew_only_when_the_resume_says_so(front: Front) -> None:
    """DD-3: the high-water mark is kept unless a person re-bases it."""
    for rebase, high in ((False, 10_000), (True, 9_900)):
        front.log.store(*equity("9900", datetime.now(UTC)))
        async with asyncio.timeout(5):
            while front.shard.core.state.equity.equity != 9_900:
                await asyncio.sleep(0.01)
        await front.post("halt", {"reason": "stop it"})
        assert (await front.post("resume", {**RESUME, "rebase_drawdown": rebase}, "approver")).status_code == 200
        assert front.shard.core.state.equity.high == high


async def test_an_untrusted_equity_is_no_base_for_the_drawdown(front: Front) -> None:
    await front.post("halt", {"reason": "stop it"})
    front.log.store(*equity("9900", datetime.now(UTC), priced=False))
    async with asyncio.timeout(5):
        while front.shard.core.state.equity.trusted:
            await asyncio.sleep(0.01)
    body = {**RESUME, "rebase_drawdown": True, "overrides": {"EQUITY_UNTRUSTED": "the venue is slow"}}
    refused = await front.post("resume", body, "approver")
    assert [error["field"] for error in refused.json()["errors"]] == ["REBASE"]


async def test_the_state_of_a_restarted_gateway_shows_the_kill_as_far_as_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path) as front:
        await front.post("kill", {"reason": "stop it"})
        await until(front, "DELIVERED")
        await answer(front, "ACCEPTED")
        before = await until(front, "FLAT")
        log = front.log
    async with opened(tmp_path, log=log) as front:
        assert (await halts(front))["items"] == [before]
        assert len(events(front, BotCommand)) == 2


async def test_fifty_operators_pressing_halt_kill_and_resume_agree_in_the_end(front: Front) -> None:
    async def press(number: int) -> int:
        body: dict[str, Any] = {"reason": f"press {number}"}
        if number % 3 == 0:
            overrides = {"NOT_ACKNOWLEDGED": "nobody is there", "NOT_FLAT": "it stays"}
            return (await front.post("resume", {**RESUME, **body, "overrides": overrides}, "approver")).status_code
        if number % 3 == 1:
            scope = [{}, {"bot": "qe1"}, {"symbol": "ETH-PERP"}][number % 7 % 3]
            return (await front.post("kill", body | scope)).status_code
        return (await front.post("halt", body)).status_code

    statuses = await asyncio.gather(*(press(number) for number in range(50)))
    assert set(statuses) <= {200, 409}
    async with asyncio.timeout(5):
        while not front.shard.drive.pipeline.settled:
            await asyncio.sleep(0.01)
    shown, state = (await halts(front))["items"], front.shard.core.state
    assert {row["halt_id"] for row in shown} == set(state.halts) == {halt.halt_id for halt in front.shard.halts}
    assert set(state.kills) == {row["halt_id"] for row in shown if row.get("flatten")}
    kills = [row["scope"] for row in shown if row.get("flatten")]
    assert len(kills) == len(set(kills)), "of one scope, one kill is under way"
    reason = (await front.ask({**ORDER, "order_id": "after"})).json()["reason"]
    stops = [row for row in shown if row["scope"] in ("account", "bot:qe1")]
    assert reason == ("KILL_SWITCH" if stops else "OK")
    pressed = sorted(command.command for command in events(front, OperatorCommand))
    assert pressed.count("halt") + pressed.count("kill") == 33, "every stop is recorded"


async def test_a_close_of_which_nobody_knows_whether_it_was_told_does_not_say_that_nothing_has_changed(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = front.shard.recording
    stored = recording.record

    async def lost(fact: Fact) -> Reason | None:
        return Reason.JOURNAL_UNAVAILABLE if fact.event_type == "BOT_COMMAND" else await stored(fact)

    monkeypatch.setattr(recording, "record", lost)
    answer = await front.post("positions/close", {"reason": "over the weekend", "symbol": "BTC-PERP"})
    assert (answer.status_code, answer.json()["code"]) == (503, "OUTCOME_UNKNOWN")
