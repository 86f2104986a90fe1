"""Whole fleets in containers, driven as people drive them: by `docker compose`, each under a name and on ports of its own."""

import io
import json
import os
import random
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fleet_chassis.process_ports import free_base
from parts.compose import ROOT, SERVICES_OF_COMPOSE

IMAGE = "quantumedge-supervisor:test"
COMMAND_S = 240
ANSWERS = subprocess.run(["sh", "-c", "timeout 20 docker info"], capture_output=True, check=False).returncode == 0
needs_docker = [
    pytest.mark.docker,
    pytest.mark.skipif(not ANSWERS, reason="no Docker daemon answers"),
    pytest.mark.timeout(400),
]
PORTS = (
    "FLEET_GATEWAY_PORT",
    "FLEET_NATS_PORT",
    "FLEET_NATS_MONITOR_PORT",
    "FLEET_QUESTDB_HTTP_PORT",
    "FLEET_QUESTDB_PG_PORT",
    "FLEET_QUESTDB_HEALTH_PORT",
    "PROMETHEUS_PORT",
    "FLEET_GRAFANA_PORT",
)


def daemon_answers() -> bool:
    """Whether there is a Docker daemon to test with."""
    try:
        return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=20).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def docker(*words: str, data: bytes | None = None, environment: Mapping[str, str] | None = None) -> bytes:
    """What the command wrote on stdout; fails with what it said when it fails."""
    given = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    done = subprocess.run(
        ["docker", *words], capture_output=True, check=False, timeout=COMMAND_S, env=environment, cwd=ROOT, **given
    )  # type: ignore[call-overload]
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr.decode()[-3000:]}"
    out: bytes = done.stdout
    return out


def has_image(name: str) -> bool:
    return bool(docker("image", "ls", "--quiet", name).strip())


@dataclass
class ComposeFleet:
    """One project. `files`: which compose files, by default as plain `docker compose up` takes them."""

    project: str
    files: Sequence[str] = ()
    image: str = IMAGE
    ports: dict[str, int] = field(default_factory=dict)

    def compose(self, *words: str, data: bytes | None = None) -> bytes:
        """`docker compose …` of this project."""
        chosen = [word for file in self.files for word in ("-f", file)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLEET_", "SUPERVISOR_", "COMPOSE_"))}
        ports = {name: str(port) for name, port in self.ports.items()}
        environment = {**kept, **ports, "SUPERVISOR_IMAGE": self.image}
        return docker("compose", *chosen, "-p", self.project, *words, data=data, environment=environment)

    def up(self) -> None:
        """`docker compose up --wait`; an image that is not here and not ours to make (Grafana's) is left out."""
        left_out = [
            word
            for name, service in SERVICES_OF_COMPOSE.items()
            if self._lacks(name, service)
            for word in ("--scale", f"{name}=0")
        ]
        self.compose("up", "-d", "--wait", "--no-build", "--pull", "never", *left_out)

    def _lacks(self, name: str, service: dict[str, Any]) -> bool:
        enabled = not self.files or "profiles" not in service
        return (
            enabled and name != "supervisor" and "SUPERVISOR_IMAGE" not in service["image"] and not has_image(service["image"])
        )

    def supervisor(self, *words: str, data: bytes | None = None) -> bytes:
        """`docker compose run --rm supervisor …`."""
        return self.compose("run", "--rm", "-T", "--no-deps", "supervisor", *words, data=data)

    def document(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.supervisor(*words, "-o", "json"))
        return found

    def containers(self) -> dict[str, dict[str, Any]]:
        """Service → what `docker inspect` says of its container, stopped ones too."""
        ids = self.compose("ps", "-aq").decode().split()
        found = json.loads(docker("inspect", *ids)) if ids else []
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}

    def healthy(self) -> bool:
        """Every container that stays is healthy."""
        states = [one["State"] for one in self.containers().values() if "Health" in one["State"]]
        return bool(states) and all(state["Running"] and state["Health"]["Status"] == "healthy" for state in states)

    def secrets(self, folder: Path) -> Path:
        """All secrets of the fleet, copied into a folder of the test."""
        packed = self.compose(
            "run", "--rm", "-T", "--no-deps", "--entrypoint", "tar", "supervisor", "-C", "/fleet", "-cf", "-", "secrets"
        )
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(folder, filter="data")
        return folder / "secrets"

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    def down(self) -> None:
        """Remove it with its volumes, and see that nothing of it is left."""
        self.compose("--profile", "*", "down", "-v", "--remove-orphans")
        mark = f"label=com.docker.compose.project={self.project}"
        for kind in (("ps", "-aq"), ("volume", "ls", "-q"), ("network", "ls", "-q")):
            assert not docker(*kind, "--filter", mark).strip(), kind


def _free_ports() -> int:
    """A base with room for a fleet, below the numbers of outgoing connections: Docker binds only when the part starts."""
    base = free_base("127.0.0.1", len(PORTS), first=random.randrange(20_000, 32_000, len(PORTS)), step=len(PORTS))
    assert base is not None, "no free ports"
    return base


@contextmanager
def compose_fleet(*files: str) -> Iterator[ComposeFleet]:
    """A project that is gone at the end, whatever the test did."""
    base = _free_ports()
    fleet = ComposeFleet(f"fleet-test-{random.randrange(10**6)}", files, ports={name: base + i for i, name in enumerate(PORTS)})
    try:
        yield fleet
    finally:
        fleet.down()
