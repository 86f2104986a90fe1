"""`supervisor demo` and the fleet with the simulated bot: what `make up` and `make demo` show, beside each other."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import is_managed, read_status
from fleet_chassis.process_sweep import leftovers
from fleet_cli import app
from fleet_cli.demo import SCENARIOS
from fleet_cli.demo_home import demo_home, environment_of, write_config
from fleet_cli.demo_run import sentence
from fleet_cli.exits import CliError, Exit
from parts.command_fleet import CommandFleet, command_fleet
from parts.fake_fleet import eventually
from quantumedge_sim.scenarios import SCENARIOS as SIMULATED

NEWS = {
    "at": "2022-01-03T04:05:00Z",
    "asked": 1200,
    "denied": 7,
    "trades": 3,
    "equity": "10001.50",
    "candles": 1,
    "candles_all": 2,
}


def demo(home: Path, *words: str) -> "subprocess.Popen[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLEET_", "SUPERVISOR_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "fleet_cli", "demo", "--home", str(home), *words],
        env={**kept, "FLEET_QUESTDB_HEAP": "256m", "FLEET_FREE_BYTES_MIN": "100000000"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=_hears_ctrl_c,
    )


def _hears_ctrl_c() -> None:
    """Also where the tests run in the background, whose shell has its children ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[FleetHome]:
    home = FleetHome(tmp_path / "demo")
    yield home
    assert not leftovers(home)


def test_every_scenario_of_the_simulator_has_its_clock_here() -> None:
    assert {name: "wall" if scenario.needs_wall else "event" for name, scenario in SIMULATED.items()} == SCENARIOS


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--candles", "no-such.csv"], Exit.NOT_FOUND, "there is no file no-such.csv"),
        (["--scenario", "doom"], Exit.USAGE, "there is no scenario 'doom'; there are: slow-drawdown"),
        (["--speed", "0"], Exit.USAGE, "neither max nor a number from 1 to 1440"),
        (["--speed", "fast"], Exit.USAGE, "neither max nor a number from 1 to 1440"),
        (["--scenario", "bus-partition", "--speed", "max"], Exit.USAGE, "happens in real time"),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_starts(
    words: list[str], code: Exit, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["demo", *words]) == code
    assert told in capsys.readouterr().err


def test_a_folder_that_is_not_a_demos_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(CliError, match="is not the folder of a demo"), demo_home(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_demo_begins_with_an_empty_folder_and_only_one_at_a_time(tmp_path: Path) -> None:
    with demo_home(tmp_path / "demo") as home:
        (home.logs / "old.log").write_text("old")
        with pytest.raises(CliError, match="a demo runs in"), demo_home(tmp_path / "demo"):
            pass
    with demo_home(tmp_path / "demo") as home:
        assert not list(home.logs.iterdir())


def test_a_demos_fleet_lives_in_virtual_time_on_ports_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_GATEWAY_PORT", "8080")
    with demo_home(tmp_path / "demo") as home:
        folder = write_config(home, clock="event", mode="paper")
        environment = environment_of(home, folder, "127.0.0.1")
    made = yaml.safe_load((folder / "supervisor.yaml").read_text())
    assert made["accounts"]["main"]["clock"] == "event"
    assert made["bots"]["qe1"]["mode"] == "paper"
    assert "FLEET_GATEWAY_PORT" not in environment
    assert environment["FLEET_HOME"] == str(tmp_path / "demo")


def test_progress_reads_as_a_sentence() -> None:
    assert sentence(NEWS) == "2022-01-03 04:05  asked 1,200  denied 7  trades 3  equity 10001.50"


@pytest.mark.real
@pytest.mark.timeout(180)
def test_the_bot_trades_on_a_fleet_beside_a_demo_and_the_same_seed_gives_the_same_summary(
    tmp_path: Path, home: FleetHome
) -> None:
    with command_fleet(tmp_path / "fleet") as fleet:
        up = fleet.supervisor("up", "--with-simulator")
        assert up.returncode == 0, up.stderr
        assert "the simulated bot qe1 is trading" in up.stdout
        summaries = []
        for _ in range(2):
            ran = demo(home.root, "--days", "1", "--seed", "11", "-o", "json")
            out, err = ran.communicate(timeout=90)
            assert ran.returncode == 0, err
            assert "100%" in err
            summaries.append(json.loads(out))
        assert summaries[0] == summaries[1]
        assert summaries[0]["candles"] == 1440
        assert summaries[0]["orders"]["asked"] > 0
        assert not is_managed(home)
        assert_trading(fleet)


def assert_trading(fleet: CommandFleet) -> None:
    """What a newcomer looks at within the first minute."""
    eventually(
        lambda: {"ALLOW", "DENY"} <= {item["decision"] for item in fleet.document("decisions", "-n", "200")["items"]}, 60
    )
    status = {part["part"]: part for part in fleet.document("status")["parts"]}
    assert status["qe1"]["state"] == "ready"
    assert status["qe1"]["heartbeat_age_s"] < 10
    for table in ("events", "equity", "signals", "order_decisions", "heartbeats"):
        eventually(lambda table=table: rows(fleet, table) > 0, 20)


def rows(fleet: CommandFleet, table: str) -> int:
    password = (fleet.home.questdb_passwords / "journal.password").read_text().strip()
    sign = base64.b64encode(f"journal:{password}".encode()).decode()
    answer = httpx.get(
        f"http://127.0.0.1:{int(fleet.environment['FLEET_PORT_BASE']) + 3}/exec",
        params={"query": f"select count() from {table}"},
        headers={"Authorization": f"Basic {sign}"},
    )
    count: int = answer.json()["dataset"][0][0]
    return count


@pytest.mark.real
@pytest.mark.timeout(120)
def test_a_bot_that_does_not_listen_lets_the_kill_escalate_and_the_summary_shows_it(home: FleetHome) -> None:
    ran = demo(home.root, "--scenario", "kill-not-acknowledged", "-o", "json")
    out, err = ran.communicate(timeout=100)
    assert ran.returncode == 0, err
    figures = json.loads(out)
    assert [(halt["cause"], halt["stage"]) for halt in figures["halts"]] == [("KILL_SWITCH", "NOT_ACKNOWLEDGED")]
    assert figures["manual_close_needed"] is True
    assert figures["orders"]["denied_by_reason"]["KILL_SWITCH"] > 0
    assert all(figures["expectations"].values())


@pytest.mark.real
@pytest.mark.timeout(120)
def test_ctrl_c_stops_everything_and_shows_the_summary_so_far(home: FleetHome) -> None:
    ran = demo(home.root, "--speed", "60")
    try:
        assert ran.stderr is not None
        assert any("%" in line for line in iter(ran.stderr.readline, ""))
        os.killpg(ran.pid, signal.SIGINT)
        out, err = ran.communicate(timeout=60)
    finally:
        ran.kill()
    assert ran.returncode == 130, err
    assert "orders asked" in out
    assert not is_managed(home)


@pytest.mark.real
@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help exists on Linux only")
def test_kill_9_of_the_demo_takes_its_fleet_along(home: FleetHome) -> None:
    ran = demo(home.root, "--speed", "60")
    eventually(lambda: trades_under_way(home), 40)
    ran.kill()
    ran.communicate(timeout=10)
    eventually(lambda: not is_managed(home) and not leftovers(home), 20)


def trades_under_way(home: FleetHome) -> bool:
    status = read_status(home)
    return bool(status and status.state == "ready" and "qe1" in leftovers(home).values())


def test_days_do_not_go_with_a_scenario_and_begin_at_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["demo", "--scenario", "flash-crash", "--days", "3"]) == Exit.USAGE
    assert app.run(["demo", "--days", "0"]) == Exit.USAGE
    assert "length of its own" in capsys.readouterr().err
