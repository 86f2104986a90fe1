"""A stopped fleet with data: a newer image migrates it, a backup brings it back elsewhere; nothing is lost on either way."""

import re
from pathlib import Path
from typing import Any

import httpx

from parts.command_fleet import command_fleet
from parts.compose import ROOT
from parts.docker import IMAGE, ComposeFleet, compose_fleet, docker, needs_docker
from parts.fake_fleet import eventually

pytestmark = needs_docker
NEWER = "quantumedge-supervisor:test-newer"
MIGRATIONS = len(list((ROOT / "deploy" / "questdb" / "migrations").glob("*.sql")))


def newer_image() -> str:
    """The image with one more migration: what the next version of the fleet looks like from outside."""
    folder = "/opt/fleet/deploy/questdb/migrations"
    statement = "alter table anomalies add column if not exists of_the_next_version VARCHAR;"
    recipe = (
        f"FROM {IMAGE}\nUSER root\n"
        f"RUN echo '{statement}' > {folder}/{MIGRATIONS + 1:04}_of_the_next_version.sql\nUSER 10001:10001\n"
    )
    docker("build", "--quiet", "--tag", NEWER, "-", data=recipe.encode())
    return NEWER


def rows(fleet: ComposeFleet, secrets: Path, question: str) -> list[Any]:
    password = (secrets / "questdb" / "journal.password").read_text().strip()
    answer = httpx.get(f"{fleet.url('FLEET_QUESTDB_HTTP_PORT')}/exec", params={"query": question}, auth=("journal", password))
    found: list[Any] = answer.json().get("dataset", [])
    return found


def decided(fleet: ComposeFleet) -> list[tuple[str, str, str]]:
    items = fleet.document("decisions", "-n", "5000")["items"]
    return [(item["order_id"], item["decision"], item["reason"]) for item in items]


EVENTS = "select stream, seq, line, body from events order by stream, seq, line"


def traded(fleet: ComposeFleet) -> None:
    """The bot has traded, and has been stopped; ingest has caught up."""
    eventually(lambda: len(decided(fleet)) > 8, 60)
    fleet.compose("stop", "qe1")


def resumed(fleet: ComposeFleet) -> bool:
    """Whether a person may let it trade again: the bot has to be there, and its account's equity fresh."""
    try:
        fleet.supervisor("resume", "--reason", "compared", "--phrase", "resume main")
    except AssertionError:
        return False
    return True


def test_a_newer_image_migrates_what_is_there_and_loses_nothing(tmp_path: Path) -> None:
    with compose_fleet() as fleet:
        fleet.up()
        traded(fleet)
        secrets = fleet.secrets(tmp_path)
        before, stored = decided(fleet), eventually(lambda: rows(fleet, secrets, EVENTS), 20)
        fleet.compose("stop")

        fleet.image = newer_image()
        fleet.up()
        assert {one["Config"]["Image"] for name, one in fleet.containers().items() if name in ("ingest", "qe1")} == {NEWER}
        versions = rows(fleet, secrets, "select distinct version from schema_version order by version")
        assert [row[0] for row in versions] == list(range(1, MIGRATIONS + 2))
        assert rows(fleet, secrets, "select of_the_next_version from anomalies limit 1") == []
        assert decided(fleet)[: len(before)] == before
        kept = {tuple(row[:3]): row[3] for row in rows(fleet, secrets, EVENTS)}
        assert all(kept[tuple(row[:3])] == row[3] for row in stored)
        count = len(decided(fleet))
        eventually(lambda: len(decided(fleet)) > count, 60)
        assert (
            fleet.secrets(tmp_path / "again").joinpath("tokens/qe1.token").read_text()
            == (secrets / "tokens/qe1.token").read_text()
        )


def test_a_backup_of_containers_restores_in_containers_and_on_a_machine(tmp_path: Path) -> None:
    file = tmp_path / "fleet.tar.gz"
    with compose_fleet() as fleet:
        fleet.up()
        traded(fleet)
        before = decided(fleet)
        refused = fleet.compose(
            "run", "--rm", "-T", "--no-deps", "--entrypoint", "sh", "supervisor", "-c", "supervisor backup - 2>&1; true"
        )
        assert re.search(rb"(nats|questdb) still runs .*docker compose stop", refused)
        fleet.compose("stop")
        file.write_bytes(fleet.supervisor("backup", "-"))

    with compose_fleet() as other:
        other.supervisor("restore", "-", data=file.read_bytes())
        other.up()
        assert decided(other)[: len(before)] == before
        assert other.document("status")["gateway"]["accounts"][0]["trading_state"] == "HALTED"
        eventually(lambda: resumed(other), 60)
        eventually(lambda: "ALLOW" in [answer for _, answer, _ in decided(other)[len(before) :]], 60)

    with command_fleet(tmp_path / "home") as native:
        assert native.supervisor("restore", str(file)).returncode == 0
        up = native.supervisor("up")
        assert up.returncode == 0, up.stderr
        items = native.document("decisions", "-n", "5000")["items"]
        assert [(item["order_id"], item["decision"], item["reason"]) for item in items] == before
