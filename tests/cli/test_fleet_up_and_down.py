"""`supervisor up`, `status`, `down` with the real parts: what a newcomer sees, and every way a fleet may have been left."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fleet_chassis.process_files import MANAGER, began, is_managed, living_pid
from fleet_chassis.process_sweep import leftovers
from parts.command_fleet import CommandFleet, command_fleet
from parts.fake_fleet import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
PARTS = ["nats", "questdb", "fleet-init", "risk-gateway", "ingest"]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[CommandFleet]:
    with command_fleet(tmp_path / "home") as fleet:
        yield fleet


def ask(fleet: CommandFleet, order_id: str) -> dict[str, object]:
    order = {"order_id": order_id, "symbol": "BTC-PERP", "side": "BUY", "order_type": "LIMIT", "qty": "0.01", "price": "43000"}
    answer = httpx.post(
        f"{fleet.gateway}/api/v1/risk/evaluate",
        json=order,
        headers={"Authorization": f"Bearer {fleet.token('qe1')}", "X-Deadline-Ms": "5000"},
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_a_fleet_goes_up_is_seen_answers_and_goes_down(fleet: CommandFleet) -> None:
    up = fleet.supervisor("up")
    assert up.returncode == 0, up.stderr
    assert f"gateway    {fleet.gateway}" in up.stdout
    assert "decisions --tail" in up.stdout
    assert str(fleet.home.tokens) in up.stdout

    status = fleet.document("status")
    assert status["state"] == "ready"
    assert [part["part"] for part in status["parts"]] == PARTS
    seen = {part["part"]: part for part in status["parts"]}
    assert {name: seen[name]["state"] for name in PARTS} == dict.fromkeys(PARTS, "ready") | {"fleet-init": "done"}
    for name in ("risk-gateway", "ingest"):
        age_s = eventually(lambda name=name: heartbeat_age(fleet, name), 10)
        assert 0 <= age_s < 5
    assert seen["nats"]["probe_ms"] is not None
    assert seen["questdb"]["probe_ms"] is not None

    assert ask(fleet, "o-1")["decision"] == "DENY"
    items = fleet.document("decisions")["items"]
    assert [(item["order_id"], item["decision"], item["reason"]) for item in items] == [("o-1", "DENY", "STALE_EQUITY")]

    again = fleet.supervisor("up")
    assert again.returncode == 0
    assert "already running" in again.stderr
    assert fleet.document("status")["manager_pid"] == status["manager_pid"]

    down = fleet.supervisor("down")
    assert down.returncode == 0, down.stderr
    assert "the fleet is stopped" in down.stderr
    assert not leftovers(fleet.home)
    assert not any(began(part["pid"]) for part in status["parts"] if part["pid"])
    assert not list(fleet.home.run.glob("*.pid"))
    assert fleet.supervisor("down").returncode == 0
    assert fleet.supervisor("status").returncode == 3

    secrets = [*fleet.home.tokens.iterdir(), *fleet.home.nats_seeds.iterdir(), *fleet.home.questdb_passwords.iterdir()]
    assert len(secrets) >= 12
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}
    assert fleet.token("viewer").startswith("sup_viewer_")


def heartbeat_age(fleet: CommandFleet, name: str) -> float | None:
    parts = {part["part"]: part for part in fleet.document("status")["parts"]}
    found: float | None = parts[name]["heartbeat_age_s"]
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help exists on Linux only")
def test_a_killed_manager_leaves_nothing_and_the_next_up_goes_on_with_the_same_log(fleet: CommandFleet) -> None:
    assert fleet.supervisor("up").returncode == 0
    decided = ask(fleet, "o-1")
    pid = living_pid(fleet.home, MANAGER)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not is_managed(fleet.home) and not leftovers(fleet.home), 10)
    assert fleet.home.pid_file("nats").exists()
    assert fleet.supervisor("status").returncode == 3
    up = fleet.supervisor("up")
    assert up.returncode == 0, up.stderr
    assert ask(fleet, "o-1")["event_id"] == decided["event_id"]
    assert len(fleet.document("decisions")["items"]) == 1


def test_a_part_that_is_killed_is_started_again(fleet: CommandFleet) -> None:
    assert fleet.supervisor("up").returncode == 0
    pid = living_pid(fleet.home, "risk-gateway")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: living_pid(fleet.home, "risk-gateway") not in (None, pid))
    assert fleet.supervisor("up").returncode == 0
    assert ask(fleet, "o-1")["decision"] == "DENY"


def test_a_taken_port_is_one_line_and_nothing_is_started(fleet: CommandFleet) -> None:
    port = int(fleet.environment["FLEET_PORT_BASE"]) + 3
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        up = fleet.supervisor("up")
    assert up.returncode == 1
    assert up.stderr.splitlines()[-1].startswith(f"supervisor: port {port} of questdb is taken by ")
    assert "FLEET_PORT_BASE=" in up.stderr
    assert not leftovers(fleet.home)


def test_a_wrong_configuration_is_one_line_with_its_place(fleet: CommandFleet, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    for name in ("supervisor.yaml", "risk.yaml"):
        text = (Path(__file__).parents[2] / "deploy" / "config" / name).read_text()
        (config / name).write_text(text.replace("max_leverage: 3", "max_leverage_: 3"))
    fleet.environment = {**fleet.environment, "FLEET_CONFIG": str(config)}
    up = fleet.supervisor("up")
    assert up.returncode == 2
    assert len(up.stderr.splitlines()) == 1
    assert f"{config}/risk.yaml:" in up.stderr
    assert not leftovers(fleet.home)


def test_of_two_gateways_one_follows_and_takes_over_for_bots_and_people(fleet: CommandFleet) -> None:
    up = fleet.supervisor("up", "--gateways", "2")
    assert up.returncode == 0, up.stderr
    status = fleet.document("status")
    assert [part["part"] for part in status["parts"]] == [*PARTS, "risk-gateway-2"]
    for name in ("risk-gateway", "risk-gateway-2"):
        assert eventually(lambda name=name: heartbeat_age(fleet, name), 10) is not None
    first = next(part["pid"] for part in status["parts"] if part["part"] == "risk-gateway")
    assert ask(fleet, "o-1")["reason"] == "STALE_EQUITY"

    os.kill(first, signal.SIGSTOP)
    try:
        second = f"http://127.0.0.1:{fleet.home.port_file('risk-gateway-2').read_text().strip()}"
        eventually(lambda: decided(second, fleet), 15)
        assert "led by risk-gateway-2" in fleet.supervisor("status").stderr, "the first one is silent, the second is asked"
    finally:
        os.kill(first, signal.SIGCONT)
    eventually(lambda: ask(fleet, "o-2")["reason"] == "STALE_EQUITY", 15)  # woken up, the first asks the one that leads now
    halted = fleet.supervisor("halt", "--reason", "looked at", "--yes")
    assert halted.returncode == 0, halted.stderr
    eventually(lambda: fleet.document("status")["gateway"]["accounts"][0]["trading_state"] == "HALTED", 10)
    resumed = fleet.supervisor(
        "resume", "--reason", "looked at", "--phrase", "resume main", "--override", "STALE_EQUITY=no bot trades here"
    )
    assert resumed.returncode == 0, resumed.stderr
    assert fleet.supervisor("up").returncode == 0, "the fleet goes on with both"
    assert len(fleet.document("status")["parts"]) == len(PARTS) + 1


def decided(url: str, fleet: CommandFleet) -> bool:
    """The gateway at that address gives a decision, not just an answer."""
    order = {"order_id": "o-3", "symbol": "BTC-PERP", "side": "BUY", "order_type": "LIMIT", "qty": "0.01", "price": "43000"}
    headers = {"Authorization": f"Bearer {fleet.token('qe1')}"}
    return httpx.post(f"{url}/api/v1/risk/evaluate", json=order, headers=headers).json()["event_id"] is not None
