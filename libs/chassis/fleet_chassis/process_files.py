"""What a process manager leaves on disk: who runs under which pid, since when, and how the fleet is.

`run/<part>.pid` holds the pid alone; `run/<part>.start` says when that process began, so that a pid the machine gave to
somebody else is never mistaken for ours. `run/manager.lock` is held (flock) for as long as a manager lives, and freed by
the kernel however it dies.
"""

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleet_chassis.home import FleetHome

MANAGER = "supervisor"
"""The manager's own name in run/ and logs/."""
MARK = "SUPERVISOR_FLEET"
"""Environment variable of every part: the home it belongs to."""
PART_MARK = "SUPERVISOR_PART"
_PS_TIMEOUT_S = 5


class AlreadyManaged(Exception):
    """Another manager holds this home."""


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One line of `supervisor status`. Times of day are RFC 3339 UTC."""

    name: str
    state: str
    pid: int | None
    since: str
    restarts: int
    exit_code: int | None
    detail: str
    address: str | None
    optional: bool


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """run/status.json: written by the manager at every change and every few seconds."""

    state: str
    manager_pid: int
    started_at: str
    written_at: str
    parts: tuple[PartStatus, ...]
    schema_version: int = 1

    def part(self, name: str) -> PartStatus | None:
        """The part of that name, if it is one of ours."""
        return next((part for part in self.parts if part.name == name), None)


def rfc3339(moment: datetime) -> str:
    """UTC with milliseconds and Z; such texts sort by time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new content, never half of it. Mode 0600."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        beside.rename(path)
    finally:
        beside.unlink(missing_ok=True)


def write_status(home: FleetHome, status: FleetStatus) -> None:
    """Publish the manager's view."""
    write_whole(home.run / "status.json", json.dumps(asdict(status), indent=1) + "\n")


def read_status(home: FleetHome) -> FleetStatus | None:
    """The manager's last view; None when there is none that can be read. It may be stale: see `manager_pid`."""
    try:
        raw: dict[str, Any] = json.loads((home.run / "status.json").read_text())
        parts = tuple(PartStatus(**part) for part in raw.pop("parts"))
        return FleetStatus(parts=parts, **raw)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def began(pid: int) -> str | None:
    """When the process began, as an opaque text equal for the same process only; None when there is no such process."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else f"{_boot()}:{fields[19]}"
    with suppress(OSError, subprocess.TimeoutExpired):
        asked = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=_PS_TIMEOUT_S, check=False
        )
        return asked.stdout.strip() or None
    return None


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    return ""


def record_pid(home: FleetHome, part: str, pid: int) -> None:
    """Remember that `part` runs as `pid`. Start first, pid last: a pid file without its start is stale."""
    write_whole(home.run / f"{part}.start", f"{began(pid) or ''}\n")
    write_whole(home.pid_file(part), f"{pid}\n")


def forget_pid(home: FleetHome, part: str) -> None:
    """The part does not run any more."""
    for path in (home.pid_file(part), home.run / f"{part}.start"):
        path.unlink(missing_ok=True)


def living_pid(home: FleetHome, part: str) -> int | None:
    """The pid in the part's pid file, if that very process still lives; None for a stale or missing file."""
    try:
        pid = int(home.pid_file(part).read_text())
        start = (home.run / f"{part}.start").read_text().strip()
    except (OSError, ValueError):
        return None
    return pid if start and began(pid) == start else None


def recorded_parts(home: FleetHome) -> list[str]:
    """Every part with a pid file, stale or not."""
    return sorted(path.stem for path in home.run.glob("*.pid"))


def marked_pids(home: FleetHome) -> dict[int, str]:
    """pid → part of every process of this user that carries this home's mark, children of parts too. Linux; else empty."""
    wanted, found = f"{MARK}={home.root}".encode(), {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environment = (entry / "environ").read_bytes().split(b"\0")
            if wanted in environment and began(int(entry.name)):
                found[int(entry.name)] = _value(environment, PART_MARK)
    return found


def _value(environment: list[bytes], name: str) -> str:
    start = f"{name}=".encode()
    return next((entry[len(start) :].decode() for entry in environment if entry.startswith(start)), "?")


@contextmanager
def manager_lock(home: FleetHome, tries: int = 20) -> Iterator[None]:
    """Be the manager of this home. Raises `AlreadyManaged` after `tries` × 50 ms (somebody may just be looking)."""
    descriptor = os.open(home.run / "manager.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for left in range(tries, 0, -1):
            if _locked(descriptor, fcntl.LOCK_EX):
                break
            if left == 1:
                raise AlreadyManaged(str(home.root))
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def is_managed(home: FleetHome) -> bool:
    """True while a manager lives, whatever its pid file says."""
    try:
        descriptor = os.open(home.run / "manager.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
