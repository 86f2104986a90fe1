"""`docker compose up` as a newcomer types it: everything healthy, trading, hardened, and no secret where it can be seen."""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet_cli.where import STANDBY
from parts.compose import SERVICES_OF_COMPOSE
from parts.docker import IMAGE, ComposeFleet, compose_fleet, docker, needs_docker
from parts.fake_fleet import eventually

pytestmark = needs_docker
OURS = ("risk-gateway", "ingest", "qe1")


@pytest.fixture(scope="module")
def fleet() -> Iterator[ComposeFleet]:
    with compose_fleet() as fleet:
        fleet.up()
        yield fleet


@pytest.fixture(scope="module")
def secrets(fleet: ComposeFleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fleet.secrets(tmp_path_factory.mktemp("secrets"))


def sql(fleet: ComposeFleet, secrets: Path, question: str) -> Any:
    password = (secrets / "questdb" / "journal.password").read_text().strip()
    answer = httpx.get(f"{fleet.url('FLEET_QUESTDB_HTTP_PORT')}/exec", params={"query": question}, auth=("journal", password))
    return answer.json().get("dataset")


def test_everything_is_healthy_and_what_runs_once_has_ended_well(fleet: ComposeFleet) -> None:
    states = {name: one["State"] for name, one in fleet.containers().items()}
    assert set(states) >= {"prepare", "fleet-init", "nats", "questdb", "prometheus", *OURS}
    assert {states[name]["ExitCode"] for name in ("prepare", "fleet-init")} == {0}
    assert fleet.healthy()


def test_the_bot_trades_and_its_decisions_reach_the_database(fleet: ComposeFleet, secrets: Path) -> None:
    items = eventually(lambda: found if len(found := fleet.document("decisions")["items"]) > 5 else None, 60)
    assert {item["bot"] for item in items} == {"qe1"}
    assert "ALLOW" in {item["decision"] for item in items}
    eventually(lambda: sql(fleet, secrets, "select count() from order_decisions")[0][0] > 5, 30)
    assert fleet.document("dead", "list")["count"] == 0
    status = fleet.document("status")
    assert {part["part"]: part["state"] for part in status["parts"]} == dict.fromkeys(OURS, "ready")


def test_prometheus_asks_every_service_and_gets_numbers(fleet: ComposeFleet) -> None:
    def ask(question: str) -> dict[str, float]:
        answer = httpx.get(f"{fleet.url('PROMETHEUS_PORT')}/api/v1/query", params={"query": question})
        return {row["metric"].get("job", ""): float(row["value"][1]) for row in answer.json()["data"]["result"]}

    up = eventually(lambda: found if all((found := ask("up")).values()) and len(found) == 4 else None, 60)
    assert set(up) == {"risk-gateway", "ingest", "questdb", "prometheus"}
    assert eventually(lambda: sum(ask("sum by (job) (gateway_decisions_total)").values()), 60) > 0


@pytest.mark.parametrize("name", [name for name, service in SERVICES_OF_COMPOSE.items() if service["restart"] != "no"])
def test_the_kernel_confirms_what_the_file_asks_for(name: str, fleet: ComposeFleet) -> None:
    container = fleet.containers().get(name)
    if container is None:
        pytest.skip(f"{name} does not run here: it is of another profile, or its image is not on this machine")
    status = fleet.compose("exec", "-T", name, "cat", "/proc/self/status").decode()
    fields = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.MULTILINE))
    assert int(fields["Uid"].split()[0]) > 0
    assert {int(fields[caps], 16) for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    assert container["HostConfig"]["ReadonlyRootfs"] is True
    assert container["HostConfig"]["Memory"] > 0
    assert container["HostConfig"]["PidsLimit"] > 0
    refused = fleet.compose("exec", "-T", name, "sh", "-c", "touch /etc/probe 2>&1; true").decode()
    assert "Read-only file system" in refused
    bound = {
        binding["HostIp"] for bindings in (container["NetworkSettings"]["Ports"] or {}).values() for binding in bindings or ()
    }
    assert bound <= {"127.0.0.1"}


def test_a_container_sees_no_secret_of_another(fleet: ComposeFleet) -> None:
    seen = {
        name: fleet.compose("exec", "-T", name, "sh", "-c", "cd /fleet/secrets && find . -type f").decode().split()
        for name in OURS
    }
    assert sorted(seen["qe1"]) == ["./nats/qe1.nk", "./tokens/qe1.token"]
    assert sorted(seen["ingest"]) == ["./nats/ingest.nk", "./questdb/journal.password"]
    assert "./nats/risk-gateway.nk" in seen["risk-gateway"]
    assert not [path for path in seen["risk-gateway"] if "questdb" in path or "fleet-init" in path]


def test_no_secret_is_in_the_image_in_inspect_or_in_logs(fleet: ComposeFleet, secrets: Path) -> None:
    words = {path.read_text().strip().encode() for path in secrets.rglob("*") if path.suffix in (".token", ".nk", ".password")}
    assert len(words) > 10
    inspected = (
        json.dumps(fleet.containers()).encode() + docker("image", "inspect", IMAGE) + docker("history", "--no-trunc", IMAGE)
    )
    logs = fleet.compose("logs", "--no-color", "--timestamps")
    config = fleet.compose("config")
    assert len(logs) > 1000
    for word in words:
        assert word not in inspected
        assert word not in logs
        assert word not in config
    names = image_files()
    assert "opt/fleet/deploy/config/risk.yaml" in names
    assert not [name for name in names if re.search(r"\.(token|nk|password)$|^fleet/|\.git/|\.env$", name)]


def image_files() -> list[str]:
    """Every file in the layers of the image."""
    names: list[str] = []
    with tarfile.open(fileobj=io.BytesIO(docker("save", IMAGE))) as image:
        manifest = json.load(image.extractfile("manifest.json"))  # type: ignore[arg-type]
        for layer in manifest[0]["Layers"]:
            with tarfile.open(fileobj=image.extractfile(layer)) as files:
                names += [member.name for member in files if not member.isdir()]
    return names


def test_the_image_holds_no_compiler_and_no_servers(fleet: ComposeFleet) -> None:
    looked = "for one in gcc cc c++ make java nats-server; do command -v $one; done; id -u; true"
    assert docker("run", "--rm", "--network", "none", IMAGE, "sh", "-c", looked).split() == [b"10001"]


def test_a_part_whose_process_is_killed_comes_back_by_itself(fleet: ComposeFleet) -> None:
    for name in ("ingest", "qe1", "risk-gateway"):
        before = fleet.containers()[name]["RestartCount"]
        fleet.compose("exec", "-T", name, "sh", "-c", "kill -9 -1 || true")
        eventually(lambda name=name, before=before: fleet.containers()[name]["RestartCount"] > before, 30)
    eventually(fleet.healthy, 60)


def test_halt_and_resume_work_from_the_command_in_its_container(fleet: ComposeFleet) -> None:
    fleet.supervisor("halt", "--reason", "a test", "--yes")
    assert fleet.document("status")["gateway"]["accounts"][0]["trading_state"] == "HALTED"
    latches = fleet.compose("exec", "-T", "qe1", "sh", "-c", "ls /fleet/latch/main").decode().split()
    assert len(latches) == 1, "the bot sees the latch"
    fleet.supervisor("resume", "--reason", "a test", "--phrase", "resume main")
    assert fleet.document("status")["gateway"]["accounts"][0]["trading_state"] == "ACTIVE"


def test_a_rotated_token_reaches_the_gateway_without_a_restart(fleet: ComposeFleet, secrets: Path) -> None:
    def allowed(token: str) -> bool:
        url = f"{fleet.url('FLEET_GATEWAY_PORT')}/api/v1/status"
        return httpx.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 200

    old = (secrets / "tokens" / "approver.token").read_text().strip()
    assert allowed(old)
    fleet.supervisor("tokens", "rotate", "approver", "--reason", "a test", "--yes")
    fleet.compose("run", "--rm", "-T", "prepare")
    new = fleet.compose("exec", "-T", "risk-gateway", "cat", "/fleet/secrets/tokens/approver.token").decode().strip()
    assert new != old
    eventually(lambda: allowed(new) and not allowed(old), 15)


def test_a_standby_decides_when_the_first_gateway_is_gone(fleet: ComposeFleet) -> None:
    def status() -> dict[str, Any]:
        """As the second gateway sees it; the exit code says that something is away, which is so."""
        told = fleet.compose("exec", "-T", STANDBY, "sh", "-c", "supervisor status -o json || true")
        account: dict[str, Any] = json.loads(told)["gateway"]["accounts"][0]
        return account

    fleet.compose("--profile", "standby", "up", "-d", "--wait", "--no-deps", "--no-build", "--pull", "never", STANDBY)
    try:
        assert status()["leader"].startswith("risk-gateway-1.")
        fleet.compose("kill", "risk-gateway")
        account = eventually(lambda: found if (found := status())["leader"].startswith(f"{STANDBY}.") else None, 30)
        folded = account["folded_seq"]
        eventually(lambda: status()["folded_seq"] > folded + 5, 30)
    finally:
        fleet.compose("start", "risk-gateway")
        fleet.compose("--profile", "standby", "rm", "-sf", STANDBY)
        eventually(fleet.healthy, 60)
