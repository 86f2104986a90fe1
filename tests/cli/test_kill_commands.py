"""The kill switch, halts and latch files on the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_cli import app, halting
from fleet_cli.exits import Exit
from parts.fake_gateway import FakeGateway, fake_gateway

PRESS = ["kill", "--reason", "too wild", "--yes"]


def killed(stage: str, **more: object) -> dict[str, object]:
    row = {"halt_id": "h-1", "scope": "account", "cause": "KILL_SWITCH", "since": "2026-01-05T10:00:00Z", "by": "ops"}
    return {**row, "recorded": True, "flatten": True, "stage": stage, **more}


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    with fake_gateway() as fake:
        monkeypatch.setenv("SUPERVISOR_URL", fake.url)
        monkeypatch.setenv("SUPERVISOR_TOKEN", "sup_operator_secret")
        monkeypatch.setattr(halting, "_LOOK_S", 0.001)
        fake.answer("POST", "/kill", {"halt": killed("REQUESTED"), "trading_state": "HALTED"})
        yield fake


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this machine whose gateway is away."""
    (tmp_path / "latch").mkdir()
    monkeypatch.delenv("SUPERVISOR_URL", raising=False)
    monkeypatch.setenv("FLEET_HOME", str(tmp_path))
    monkeypatch.setenv("FLEET_GATEWAY_PORT", "1")
    return tmp_path


def stages(gateway: FakeGateway, *names: str) -> None:
    for name in names:
        gateway.answer("GET", "/halts", {"items": [killed(name, open=[] if name == "FLAT" else ["position BTC-PERP"])]})


def test_a_kill_says_every_stage_and_ends_when_it_is_flat(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    stages(gateway, "DELIVERED", "DELIVERED", "ACKNOWLEDGED", "FLAT")
    assert app.run(PRESS) == Exit.OK
    said = capsys.readouterr().err
    assert "account main is HALTED: halt h-1 by ops, recorded" in said
    assert [line.strip() for line in said.splitlines()[1:]] == [
        "DELIVERED: open position BTC-PERP",
        "ACKNOWLEDGED: open position BTC-PERP",
        "FLAT",
    ]


@pytest.mark.parametrize("stage", ["NOT_ACKNOWLEDGED", "NOT_FLAT"])
def test_a_kill_that_escalates_says_to_close_by_hand(
    stage: str, gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    stages(gateway, "DELIVERED", stage)
    assert app.run(PRESS) == Exit.TIMEOUT
    assert f"the kill is {stage}: close by hand what is open" in capsys.readouterr().err


def test_a_kill_waits_no_longer_than_it_was_told(gateway: FakeGateway) -> None:
    stages(gateway, "DELIVERED")
    assert app.run([*PRESS, "--timeout", "0.01"]) == Exit.TIMEOUT
    gateway.seen.clear()
    assert app.run([*PRESS, "--timeout", "0"]) == Exit.OK
    assert [seen.method for seen in gateway.seen] == ["POST"]


def test_a_kill_lifted_meanwhile_by_somebody_is_a_conflict(gateway: FakeGateway) -> None:
    gateway.answer("GET", "/halts", {"items": []})
    assert app.run(PRESS) == Exit.CONFLICT


@pytest.mark.parametrize(
    ("scope", "sent"), [(["--bot", "qe1"], {"bot": "qe1"}), (["--symbol", "BTC-PERP"], {"symbol": "BTC-PERP"}), ([], {})]
)
def test_a_scope_is_sent_as_it_was_named(scope: list[str], sent: dict[str, str], gateway: FakeGateway) -> None:
    assert app.run([*PRESS, "--timeout", "0", *scope]) == Exit.OK
    assert gateway.seen[0].body == {"reason": "too wild", **sent}


def test_nobody_there_to_answer_two_scopes_or_a_time_below_zero_do_nothing(gateway: FakeGateway) -> None:
    assert app.run(["kill", "--reason", "too wild"]) == Exit.USAGE
    assert app.run([*PRESS, "--bot", "qe1", "--symbol", "BTC-PERP"]) == Exit.USAGE
    assert app.run([*PRESS, "--timeout", "-1"]) == Exit.USAGE
    assert not gateway.seen


def test_ctrl_c_while_waiting_says_that_the_kill_goes_on(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(halting, "_wait_flat", interrupt)
    assert app.run(PRESS) == Exit.INTERRUPTED
    assert "no longer waiting; the kill goes on" in capsys.readouterr().err


def test_a_kill_without_a_gateway_is_a_latch_file_that_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*PRESS, "--symbol", "BTC-PERP"]) == Exit.OK
    (path,) = (home / "latch" / "main").glob("*.json")
    latch = json.loads(path.read_text())
    assert (latch["cause"], latch["scope"], latch["flatten"]) == ("KILL_SWITCH", "symbol:BTC-PERP", True)
    capsys.readouterr()
    assert app.run(["latch", "list", "-o", "json"]) == Exit.OK
    (row,) = json.loads(capsys.readouterr().out)["items"]
    assert (row["account"], row["halt_id"], row["scope"]) == ("main", path.stem, "symbol:BTC-PERP")
    assert app.run(["latch", "show", path.stem]) == Exit.OK
    assert "cause: KILL_SWITCH" in capsys.readouterr().out


def test_a_latch_file_that_cannot_be_read_is_listed_and_one_that_is_not_there_is_said(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "latch" / "main").mkdir()
    (home / "latch" / "main" / "odd.json").write_text("[")
    assert app.run(["latch", "list"]) == Exit.OK
    assert "unreadable" in capsys.readouterr().out
    assert app.run(["latch", "show", "nothing"]) == Exit.NOT_FOUND
    assert app.run(["latch", "list", "--account", "second"]) == Exit.OK


def test_halts_show_stages_answers_and_the_checklist(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    silent = {"bot": "qe1", "command": "CLOSE_POSITIONS", "attempt": 1, "state": None, "detail": None, "at": None}
    row = killed("NOT_ACKNOWLEDGED", answers=[silent], open=["position BTC-PERP"])
    item = {"item": "NOT_FLAT", "clean": False, "detail": "open still: position BTC-PERP"}
    gateway.answer("GET", "/halts", {"items": [row], "checklist": [item], "manual_close_needed": True})
    assert app.run(["halts"]) == Exit.OK
    shown = capsys.readouterr()
    assert "NOT_ACKNOWLEDGED" in shown.out
    assert "qe1 CLOSE_POSITIONS (attempt 1): no answer" in shown.err
    assert "[ ] NOT_FLAT: open still: position BTC-PERP" in shown.err
    assert "CLOSED BY HAND" in shown.err
    assert app.run(["halts", "-o", "json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["checklist"] == [item]


@pytest.mark.parametrize("override", ["NOT_FLAT", "NOT_FLAT=", "=because"])
def test_an_override_says_the_item_and_why(override: str, gateway: FakeGateway) -> None:
    assert app.run(["resume", "--reason", "mended", "--phrase", "resume main", "--override", override]) == Exit.USAGE
    assert not gateway.seen
