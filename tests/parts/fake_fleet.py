"""A process manager over fake parts, in a process of its own so that tests can kill it: `fake_fleet.py HOME PARTS.json`.

A fake part is `{"name", "after", "code", "one_shot", "stop_s", "exits_max"}`; `code` is a Python one-liner.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fleet_chassis.home import FleetHome
from fleet_chassis.process import Part, RestartPolicy
from fleet_chassis.process_child import Program
from fleet_chassis.process_files import FleetStatus, read_status
from fleet_chassis.process_run import ProcessRun
from fleet_chassis.process_sweep import leftovers, sweep

T = TypeVar("T")
SLEEPER = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
PARENT = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"
)
FAILING = "import sys; print('no such luck'); sys.exit(3)"


def programs(raw: list[dict[str, Any]]) -> list[Program]:
    """The fakes as programs; a part with `"port_from": "file"` is ready only when its port file answers."""
    return [
        Program(
            Part(
                part["name"],
                tuple(part.get("after", ())),
                part.get("one_shot", False),
                part.get("stop_s", 5.0),
                RestartPolicy(backoff_s_first=0.05, backoff_s_max=0.1, exits_max=part.get("exits_max", 3)),
            ),
            (sys.executable, "-c", part["code"]),
        )
        for part in raw
    ]


@dataclass
class FakeFleet:
    """What a test sees of one."""

    home: FleetHome
    manager: subprocess.Popen[bytes]

    def status(self) -> FleetStatus:
        status = read_status(self.home)
        assert status is not None
        return status

    def pid(self, part: str) -> int:
        found = self.status().part(part)
        assert found is not None
        assert found.pid is not None
        return found.pid

    def wait_for(self, wanted: Callable[[FleetStatus], bool], within_s: float = 15) -> FleetStatus:
        def look() -> FleetStatus | None:
            status = read_status(self.home)
            return status if status and status.manager_pid == self.manager.pid and wanted(status) else None

        return eventually(look, within_s)

    def wait_ready(self) -> FleetStatus:
        return self.wait_for(lambda status: status.state == "ready")


def eventually(look: Callable[[], T | None], within_s: float = 15) -> T:
    """The first true answer of `look`; fails when there is none in time."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s: {look}")


@contextmanager
def fake_fleet(home: FleetHome, parts: list[dict[str, Any]]) -> Iterator[FakeFleet]:
    """Start it; whatever happens in the test, nothing of it survives."""
    home.make()
    described = home.root / "parts.json"
    described.write_text(json.dumps(parts))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    manager = subprocess.Popen([sys.executable, __file__, str(home.root), str(described)], env=environment)
    try:
        yield FakeFleet(home, manager)
    finally:
        manager.send_signal(signal.SIGTERM)
        try:
            manager.wait(10)
        except subprocess.TimeoutExpired:
            manager.kill()
            manager.wait(5)
        sweep(home, stop_s=0.5)
        assert not leftovers(home)


async def main() -> None:
    """The program."""
    home, described = FleetHome(Path(sys.argv[1])), Path(sys.argv[2])
    run = ProcessRun(home, lambda: programs(json.loads(described.read_text())))
    run.obey_signals()
    await run.run()


if __name__ == "__main__":
    asyncio.run(main())
