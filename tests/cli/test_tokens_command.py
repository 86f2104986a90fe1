"""`supervisor tokens`: whose they are, never what they are; a new one replaces the old."""

import json
from pathlib import Path

import pytest

from fleet_chassis.auth import make_tokens
from fleet_chassis.config import load_config
from fleet_chassis.home import FleetHome
from fleet_cli.app import run
from fleet_cli.exits import Exit
from parts.gateway import ROOT


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetHome:
    home = FleetHome(tmp_path / "home")
    home.make()
    make_tokens(home, load_config(ROOT / "deploy" / "config").supervisor.tokens)
    monkeypatch.setenv("FLEET_HOME", str(home.root))
    return home


def command(*words: str) -> int:
    return run(words)


def test_the_list_tells_whose_they_are_and_never_what_they_are(home: FleetHome, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("tokens", "list", "-o", "json") == Exit.OK
    told = capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads(told)["tokens"]}
    assert (rows["qe1"]["role"], rows["qe1"]["bot"]) == ("bot", "qe1")
    assert rows["admin"]["role"] == "admin"
    assert home.token("admin").read_text().strip() not in told


def test_a_rotated_token_is_another_one_for_its_owner_only(home: FleetHome, capsys: pytest.CaptureFixture[str]) -> None:
    before = home.token("viewer").read_text()
    assert command("tokens", "rotate", "viewer", "--reason", "it leaked", "--yes") == Exit.OK
    after = home.token("viewer").read_text()
    assert after != before
    assert after.startswith("sup_viewer_")
    assert home.token("viewer").stat().st_mode & 0o777 == 0o600
    assert after.strip() not in capsys.readouterr().err


def test_in_containers_it_says_that_the_old_one_holds_until_the_new_one_is_handed_out(
    home: FleetHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUPERVISOR_CONTAINERS", "1")
    assert command("tokens", "rotate", "viewer", "--reason", "it leaked", "--yes") == Exit.OK
    told = capsys.readouterr().err
    assert "the OLD one still in force" in told
    assert "docker compose run --rm prepare" in told


def test_a_token_nobody_knows_is_named_as_such(home: FleetHome, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("tokens", "rotate", "nobody", "--reason", "it leaked", "--yes") == Exit.NOT_FOUND
    assert "there is no token 'nobody'; known: qe1, viewer" in capsys.readouterr().err
