"""The process manager over real processes: order, restarts, the latch, the drain, and that nothing is ever left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fleet_chassis.home import FleetHome
from fleet_chassis.process import Part
from fleet_chassis.process_child import Program
from fleet_chassis.process_files import AlreadyManaged, began, is_managed, living_pid, manager_lock, record_pid
from fleet_chassis.process_run import ProcessRun
from fleet_chassis.process_sweep import leftovers, sweep
from parts.fake_fleet import FAILING, PARENT, SLEEPER, STUBBORN, eventually, fake_fleet

pytestmark = pytest.mark.real
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help exists on Linux only")


@pytest.fixture
def home(tmp_path: Path) -> FleetHome:
    return FleetHome(tmp_path / "home")


def test_parts_run_in_order_and_a_drain_leaves_nothing(home: FleetHome) -> None:
    parts = [
        {"name": "first", "code": SLEEPER},
        {"name": "job", "code": "print('done')", "one_shot": True, "after": ["first"]},
        {"name": "last", "code": SLEEPER, "after": ["job"]},
    ]
    with fake_fleet(home, parts) as fleet:
        status = fleet.wait_ready()
        assert [part.state for part in status.parts] == ["ready", "done", "ready"]
        assert status.parts[0].since <= status.parts[1].since <= status.parts[2].since
        assert living_pid(home, "last") == fleet.pid("last")
        fleet.manager.send_signal(signal.SIGTERM)
        assert fleet.manager.wait(10) == 0
        assert not leftovers(home)
        assert [part.state for part in fleet.status().parts] == ["stopped"] * 3
        assert not list(home.run.glob("*.pid"))


@linux_only
def test_kill_9_of_the_manager_leaves_no_orphan(home: FleetHome) -> None:
    with fake_fleet(home, [{"name": "one", "code": SLEEPER}, {"name": "deaf", "code": STUBBORN}]) as fleet:
        fleet.wait_ready()
        pids = [fleet.pid("one"), fleet.pid("deaf")]
        eventually(lambda: "deaf" in home.log_file("deaf").read_text())
        fleet.manager.kill()
        fleet.manager.wait(5)
        eventually(lambda: not any(began(pid) for pid in pids))
        assert not is_managed(home)
        assert home.pid_file("one").exists()
        assert living_pid(home, "one") is None


@linux_only
def test_grandchildren_that_outlive_a_killed_manager_are_found_and_ended(home: FleetHome) -> None:
    with fake_fleet(home, [{"name": "parent", "code": PARENT}]) as fleet:
        fleet.wait_ready()
        eventually(lambda: len(leftovers(home)) == 2)
        fleet.manager.kill()
        fleet.manager.wait(5)
        eventually(lambda: list(leftovers(home).values()) == ["parent"])
        assert list(sweep(home).values()) == ["parent"]
        assert not leftovers(home)
        assert not list(home.run.glob("*.pid"))


def test_a_part_that_is_killed_comes_back_and_its_children_go(home: FleetHome) -> None:
    with fake_fleet(home, [{"name": "parent", "code": PARENT}]) as fleet:
        fleet.wait_ready()
        pid = fleet.pid("parent")
        eventually(lambda: len(leftovers(home)) == 2 or sys.platform != "linux")
        before = set(leftovers(home))
        os.kill(pid, signal.SIGKILL)
        fleet.wait_for(lambda status: status.parts[0].pid not in (None, pid))
        eventually(lambda: not before & set(leftovers(home)))
        assert fleet.status().parts[0].restarts == 1


def test_a_part_that_keeps_failing_is_latched_with_its_last_words_until_asked(home: FleetHome) -> None:
    with fake_fleet(home, [{"name": "bad", "code": FAILING}, {"name": "good", "code": SLEEPER}]) as fleet:
        status = fleet.wait_for(lambda status: status.parts[0].state == "crash-loop")
        assert status.state == "degraded"
        assert "exit code 3: no such luck" in status.parts[0].detail
        assert status.parts[1].state == "ready"
        assert status.parts[0].restarts == 2
        fleet.manager.send_signal(signal.SIGHUP)
        fleet.wait_for(lambda status: status.parts[0].restarts == 4)


def test_a_program_that_does_not_exist_is_a_failure_with_a_reason(home: FleetHome) -> None:
    home.make()

    async def main() -> str:
        missing = Program(Part("ghost"), ("/nowhere/ghost",))
        heard: asyncio.Queue[str] = asyncio.Queue()
        run = ProcessRun(home, lambda: [missing], told=lambda name, state, detail: heard.put_nowait(detail))
        running = asyncio.create_task(run.run())
        async with asyncio.timeout(10):
            while not (detail := await heard.get()):
                pass
            run.stop()
            await running
        return detail

    assert "cannot start /nowhere/ghost: No such file or directory" in asyncio.run(main())


def test_a_deaf_part_is_killed_after_its_bound(home: FleetHome) -> None:
    with fake_fleet(home, [{"name": "deaf", "code": STUBBORN, "stop_s": 0.3}]) as fleet:
        fleet.wait_ready()
        eventually(lambda: "deaf" in home.log_file("deaf").read_text())
        fleet.manager.send_signal(signal.SIGTERM)
        assert fleet.manager.wait(5) == 0
        assert fleet.status().parts[0].exit_code == -signal.SIGKILL


def test_a_home_has_one_manager(home: FleetHome) -> None:
    with fake_fleet(home, [{"name": "one", "code": SLEEPER}]) as fleet:
        fleet.wait_ready()
        assert is_managed(home)
        with pytest.raises(AlreadyManaged), manager_lock(home, tries=2):
            pass


def test_a_recycled_pid_is_never_taken_for_ours(home: FleetHome) -> None:
    home.make()
    stranger = subprocess.Popen([sys.executable, "-c", SLEEPER])
    try:
        record_pid(home, "nats", stranger.pid)
        assert living_pid(home, "nats") == stranger.pid
        (home.run / "nats.start").write_text("another boot:17\n")
        assert living_pid(home, "nats") is None
        assert sweep(home) == {}
        assert stranger.poll() is None
        assert not home.pid_file("nats").exists()
    finally:
        stranger.kill()
        stranger.wait(5)


def test_a_new_part_joins_when_the_manager_is_asked(home: FleetHome) -> None:
    with fake_fleet(home, [{"name": "one", "code": SLEEPER}]) as fleet:
        fleet.wait_ready()
        parts = (home.root / "parts.json").read_text()
        (home.root / "parts.json").write_text(parts.replace("]", ', {"name": "two", "code": "import time; time.sleep(600)"}]'))
        fleet.manager.send_signal(signal.SIGHUP)
        fleet.wait_for(lambda status: [part.state for part in status.parts] == ["ready", "ready"])
