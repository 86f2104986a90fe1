"""A whole fleet in a folder of its own and on free ports, driven as people drive it: by the `supervisor` command."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet_chassis.home import FleetHome
from fleet_chassis.process_ports import free_base
from fleet_chassis.process_sweep import leftovers

PORTS = 8


@dataclass
class CommandFleet:
    """`supervisor(…)` runs a command in this fleet's environment."""

    home: FleetHome
    environment: Mapping[str, str]

    def supervisor(self, *words: str, timeout_s: float = 90) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fleet_cli", *words],
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )

    def document(self, *words: str) -> dict[str, Any]:
        """What a reading command says as JSON."""
        done = self.supervisor(*words, "-o", "json")
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.environment['FLEET_PORT_BASE']}"

    def token(self, name: str) -> str:
        return self.home.token(name).read_text().strip()


def free_ports() -> int:
    """A base with room for a fleet; drawn at random so that two test runs rarely meet."""
    for _ in range(20):
        base = free_base("127.0.0.1", PORTS, first=random.randrange(20_000, 55_000, PORTS), step=PORTS)
        if base is not None:
            return base
    raise AssertionError("no free ports")


def fleet_environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a small fleet in that home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLEET_", "SUPERVISOR_"))}
    return {
        **kept,
        "FLEET_HOME": str(home),
        "FLEET_PORT_BASE": str(free_ports()),
        "FLEET_QUESTDB_HEAP": "256m",
        "FLEET_FREE_BYTES_MIN": "100000000",
        **more,
    }


@contextmanager
def command_fleet(home: Path, **more: str) -> Iterator[CommandFleet]:
    """The fleet's environment; whatever the test started in it is gone afterwards."""
    fleet = CommandFleet(FleetHome(home), fleet_environment(home, **more))
    try:
        yield fleet
    finally:
        done = fleet.supervisor("down", "--timeout", "20")
        assert done.returncode == 0, done.stderr
        assert not leftovers(fleet.home)
