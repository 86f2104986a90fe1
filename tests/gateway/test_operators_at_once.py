"""Operators who act at the same moment, odd latch files, and what a restart still shows."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fleet_chassis.log import LogUnavailable, NoAnswer, Outcome
from fleet_chassis.memory_log import MemoryLog
from fleet_contracts import OperatorCommand, parse
from parts.http_front import ORDER, Front, opened
from risk_gateway.latches import LatchFiles


@pytest_asyncio.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with opened(tmp_path) as front:
        yield front


def commands(log: MemoryLog) -> list[OperatorCommand]:
    lines = [line for message in log.messages for line in parse(message.subject, message.body).lines]
    return [line.event for line in lines if isinstance(line.event, OperatorCommand)]


async def test_of_two_changes_of_limits_against_one_revision_one_is_made(front: Front) -> None:
    read = await front.get("limits")
    risk, match = read.json()["risk"], read.headers["etag"]
    bodies = [
        {"reason": "other", "risk": {**risk, "limits": {**risk["limits"], "max_open_orders": count}}} for count in (7, 8, 9)
    ]
    answers = await asyncio.gather(*(front.post("limits", body, "approver", **{"If-Match": match}) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]
    made = next(answer.json() for answer in answers if answer.status_code == 200)
    now = (await front.get("limits")).json()
    assert (now["revision"], now["digest"]) == (2, made["digest"])


async def test_limits_too_large_for_an_event_are_refused_before_anything_is_stored(front: Front) -> None:
    read = await front.get("limits")
    risk = read.json()["risk"]
    symbols = risk["symbols"] | {f"S{number}-PERP": risk["symbols"]["BTC-PERP"] for number in range(900)}
    body = {"reason": "many", "risk": {**risk, "symbols": symbols}}
    answer = await front.post("limits", body, "approver", **{"If-Match": read.headers["etag"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "TOO_LARGE")
    assert commands(front.log) == []


async def test_one_idempotency_key_sent_twice_at_once_is_one_command(front: Front) -> None:
    answers = await asyncio.gather(*(front.post("halt", {"reason": "twice"}, **{"Idempotency-Key": "k"}) for _ in range(5)))
    assert {answer.json()["halt"]["halt_id"] for answer in answers} == {answers[0].json()["halt"]["halt_id"]}
    assert len(commands(front.log)) == 1


async def test_fifty_halts_and_resumes_at_once_end_in_one_consistent_state(front: Front) -> None:
    async def press(number: int) -> int:
        if number % 2:
            body = {"reason": f"press {number}", "phrase": "resume main"}
            return (await front.post("resume", body, "approver")).status_code
        return (await front.post("halt", {"reason": f"press {number}"})).status_code

    statuses = await asyncio.gather(*(press(number) for number in range(50)))
    assert set(statuses) <= {200, 409}
    shown = (await front.get("halts")).json()["items"]
    assert {halt["halt_id"] for halt in shown} == set(front.shard.core.state.halts)
    decision = (await front.ask({**ORDER, "order_id": "after"})).json()["decision"]
    assert decision == ("DENY" if shown else "ALLOW")


async def test_any_file_in_the_latch_folder_halts_and_a_resume_deletes_it(front: Front, tmp_path: Path) -> None:
    folder = tmp_path / "latch" / "main"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stop now.json").write_text("not even JSON")
    async with asyncio.timeout(5):
        while (await front.ask({**ORDER, "order_id": "b", "qty": "0.02"})).json()["reason"] == "OK" or not front.shard.halts:
            await asyncio.sleep(0.05)
    assert (await front.post("resume", {"reason": "read it", "phrase": "resume main"}, "approver")).status_code == 200
    async with asyncio.timeout(5):
        while list(folder.glob("*.json")):
            await asyncio.sleep(0.05)
    assert (await front.ask({**ORDER, "order_id": "c"})).json()["decision"] == "ALLOW"


def test_a_latch_file_that_vanishes_or_is_a_folder_still_halts(tmp_path: Path) -> None:
    (tmp_path / "odd.json").symlink_to(tmp_path / "gone")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "list.json").write_text(json.dumps([1]))
    (tmp_path / "deep.json").write_text("[" * 100_000)
    assert set(LatchFiles(tmp_path).read()) == {"odd", "folder", "list", "deep"}


async def test_a_latch_that_cannot_be_deleted_is_void_all_the_same(front: Front, tmp_path: Path) -> None:
    (tmp_path / "latch" / "main" / "folder.json").mkdir(parents=True)
    async with asyncio.timeout(5):
        while not front.shard.halts:
            await asyncio.sleep(0.05)
    assert (await front.post("resume", {"reason": "read it", "phrase": "resume main"}, "approver")).status_code == 200
    await asyncio.sleep(0.6)
    assert (await front.ask({**ORDER, "order_id": "c"})).json()["decision"] == "ALLOW"


async def test_a_halt_pressed_while_a_resume_is_under_way_is_not_lifted_by_it(front: Front) -> None:
    for _ in range(101):
        await front.post("halt", {"reason": "many of them"})
    resumed = asyncio.create_task(front.post("resume", {"reason": "read them", "phrase": "resume main"}, "approver"))
    async with asyncio.timeout(5):
        while not front.shard._lifting:
            await asyncio.sleep(0)
    pressed = (await front.post("halt", {"reason": "no, stop"})).json()["halt"]["halt_id"]
    await resumed
    assert pressed in {halt.halt_id for halt in front.shard.halts}
    assert (await front.ask({**ORDER, "order_id": "d"})).json()["decision"] == "DENY"


async def test_a_lift_whose_acknowledgement_is_lost_is_not_called_unchanged(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    await front.post("halt", {"reason": "to be lifted"})
    append = front.log.append

    async def lossy(subject: str, body: bytes, **more: Any) -> Outcome:
        outcome = await append(subject, body, **more)
        return NoAnswer() if "risk_state" in subject else outcome

    monkeypatch.setattr(front.log, "append", lossy)
    monkeypatch.setattr(front.log, "last", _silent)
    answer = await front.post("resume", {"reason": "read it", "phrase": "resume main"}, "approver")
    assert (answer.status_code, answer.json()["code"]) == (503, "OUTCOME_UNKNOWN")


async def _silent(subjects: str, *, timeout_s: float) -> None:
    raise LogUnavailable("silent")


async def test_after_a_restart_from_a_snapshot_the_decisions_before_it_are_still_shown(tmp_path: Path) -> None:
    async with opened(tmp_path) as front:
        for number in range(3):
            await front.ask({**ORDER, "order_id": f"o{number}"})
        log = front.log
    assert list((tmp_path / "snapshots").rglob("*.head"))
    async with opened(tmp_path, log=log) as front:
        async with asyncio.timeout(5):
            while len((await front.get("decisions")).json()["items"]) < 3:
                await asyncio.sleep(0.02)
        assert [item["order_id"] for item in (await front.get("decisions?after=0")).json()["items"]] == ["o0", "o1", "o2"]
        assert (await front.get("decisions/o1")).status_code == 200
