"""What stops `supervisor up` before anything starts: each with one line that says what to do."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import MARK, record_pid
from fleet_chassis.process_ports import Holder
from fleet_cli.exits import CliError
from fleet_cli.preflight import STORES_BYTES, WantedPort, check_disk, check_home, check_ports, clean_up
from fleet_cli.where import checkout, fleet_settings, remember

NATS = WantedPort("nats", 4222, "FLEET_NATS_PORT")


@pytest.fixture
def home(tmp_path: Path) -> FleetHome:
    home = FleetHome(tmp_path / "home")
    home.make()
    return home


def complaint(check: object, *arguments: object, **more: object) -> str:
    assert callable(check)
    with pytest.raises(CliError) as refused:
        check(*arguments, **more)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_home_is_made_for_its_owner_only(tmp_path: Path) -> None:
    home = FleetHome(tmp_path / "deep" / "home")
    check_home(home)
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


def test_a_home_that_cannot_be_made_is_named_with_another_choice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = complaint(check_home, FleetHome(tmp_path / "file" / "home"))
    assert f"cannot write to {tmp_path}/file/home (Not a directory)" in told
    assert "FLEET_HOME=/path supervisor up" in told


def test_too_little_room_is_said_with_the_numbers(home: FleetHome) -> None:
    told = complaint(check_disk, home, 10**9, lambda _: 500_000_000)
    assert "only 0.5 GB are free" in told
    assert "needs 2.0 GB" in told
    check_disk(home, 10**9, lambda _: STORES_BYTES + 10**9)


def test_a_taken_port_names_part_port_holder_and_a_way_out() -> None:
    told = complaint(
        check_ports, "127.0.0.1", [NATS], lambda host, port: port != 4222, lambda port: Holder(17, "nats-server -c x")
    )
    assert told.startswith("port 4222 of nats is taken by nats-server -c x (pid 17); move the whole fleet: FLEET_PORT_BASE=")
    assert "FLEET_NATS_PORT=N" in told
    assert "FLEET_PORT_BASE=N" not in told


def test_a_taken_port_of_an_unknown_holder_is_still_named() -> None:
    told = complaint(check_ports, "127.0.0.1", [NATS], lambda host, port: port != 4222, lambda port: None)
    assert "port 4222 of nats is taken; move" in told


def test_a_really_taken_port_is_found() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert f"port {port} of nats is taken" in complaint(check_ports, "127.0.0.1", [WantedPort("nats", port, "X")])
    check_ports("127.0.0.1", [WantedPort("nats", port, "X")])


def test_a_stale_pid_file_is_forgotten_and_its_new_owner_left_alone(home: FleetHome) -> None:
    record_pid(home, "nats", os.getpid())
    (home.run / "nats.start").write_text("long ago\n")
    assert clean_up(home) == {}
    assert not home.pid_file("nats").exists()


def test_what_an_earlier_manager_left_is_ended(home: FleetHome) -> None:
    left = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, MARK: str(home.root), "SUPERVISOR_PART": "ingest"},
    )
    try:
        record_pid(home, "ingest", left.pid)
        assert clean_up(home) == {left.pid: "ingest"}
        assert left.wait(5) < 0
    finally:
        left.kill()
        left.wait(5)


def test_a_fleet_is_found_again_with_the_ports_and_configuration_it_was_started_with(
    home: FleetHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_HOME", str(home.root))
    monkeypatch.setenv("FLEET_PORT_BASE", "23400")
    monkeypatch.setenv("FLEET_CONFIG", str(home.root / "config"))
    remember(home, fleet_settings())
    monkeypatch.delenv("FLEET_PORT_BASE")
    monkeypatch.delenv("FLEET_CONFIG")
    found = fleet_settings()
    assert (found.gateway_port, found.nats_port, found.config) == (23400, 23401, home.root / "config")
    monkeypatch.setenv("FLEET_GATEWAY_PORT", "23500")
    assert fleet_settings().gateway_port == 23500
    assert fleet_settings(remembered=False).nats_port == 4222


def test_the_home_and_configuration_of_the_checkout_are_the_usual_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = fleet_settings(remembered=False)
    assert settings.home == checkout() / ".fleet"
    assert settings.config == checkout() / "deploy" / "config"
    assert (checkout() / "pyproject.toml").is_file()


def test_nobody_changes_the_environment_by_looking(home: FleetHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_HOME", str(home.root))
    before = dict(os.environ)
    fleet_settings()
    assert dict(os.environ) == before
