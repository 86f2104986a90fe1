"""A fleet with data, saved and brought back in another home: the same decisions, the same rows, halted until resumed."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet_chassis.home import FleetHome
from parts.command_fleet import CommandFleet, command_fleet
from parts.fake_fleet import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


@pytest.fixture
def fleets(tmp_path: Path) -> Iterator[tuple[CommandFleet, CommandFleet]]:
    with command_fleet(tmp_path / "one") as one, command_fleet(tmp_path / "two") as two:
        yield one, two


def rows(fleet: CommandFleet) -> list[Any]:
    password = (FleetHome(fleet.home.root).questdb_password("journal")).read_text().strip()
    port = int(fleet.environment["FLEET_PORT_BASE"]) + 3
    question = "select stream, seq, line, body from events where stream = 'FLEET' order by seq, line"
    answer = httpx.get(f"http://127.0.0.1:{port}/exec", params={"query": question}, auth=("journal", password))
    found: list[Any] = answer.json()["dataset"]
    return found


def decided(fleet: CommandFleet) -> list[tuple[str, str, str]]:
    items = fleet.document("decisions", "-n", "2000")["items"]
    return [(item["order_id"], item["decision"], item["reason"]) for item in items]


def test_a_fleet_comes_back_in_another_home_with_all_it_knew(fleets: tuple[CommandFleet, CommandFleet], tmp_path: Path) -> None:
    one, two = fleets
    file = tmp_path / "fleet.tar.gz"
    assert one.supervisor("up", "--with-simulator").returncode == 0
    eventually(lambda: len(decided(one)) > 5, 30)
    assert one.supervisor("backup", str(file)).returncode == 6, "it runs"
    assert one.supervisor("down").returncode == 0
    assert one.supervisor("backup", str(file)).returncode == 0
    assert one.supervisor("up").returncode == 0
    before = decided(one)
    stored = eventually(lambda: len(found) > len(before) and found if (found := rows(one)) else None, 20)
    assert one.supervisor("down").returncode == 0
    shutil.rmtree(one.home.root)

    restored = two.supervisor("restore", str(file))
    assert restored.returncode == 0, restored.stderr
    up = two.supervisor("up")
    assert up.returncode == 0, up.stderr
    assert decided(two) == before
    assert len(before) > 5
    there = eventually(lambda: found if len(found := rows(two)) >= len(stored) else None, 20)
    known = {tuple(row[:3]): row[3] for row in there}
    assert len(known) == len(there), "a row is there twice"
    asked = [row for row in stored if '"ORDER_DECISION"' in row[3]]
    assert len(asked) == len(before)
    assert all(known[tuple(row[:3])] == row[3] for row in asked)
    halts = two.document("status")["gateway"]["accounts"][0]["halts"]
    assert [halt["cause"] for halt in halts] == ["KILL_SWITCH"]
    assert two.supervisor("up", "--with-simulator").returncode == 0
    words = ("resume", "--reason", "compared", "--phrase", "resume main")
    eventually(lambda: two.supervisor(*words).returncode == 0, 30)
    eventually(lambda: "ALLOW" in [answer for _, answer, _ in decided(two)[len(before) :]], 30)
