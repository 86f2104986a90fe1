"""One running program of the fleet: started in a session of its own, tied to its manager, ended as a whole group."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fleet_chassis import process_launch
from fleet_chassis.home import FleetHome
from fleet_chassis.process import Part
from fleet_chassis.process_files import MARK, PART_MARK, forget_pid, record_pid, write_whole
from fleet_chassis.process_logs import bound_log, last_lines, open_log
from fleet_chassis.process_probe import Probe

_LAST_LINE_CHARACTERS_MAX = 240


@dataclass(frozen=True, slots=True)
class Program:
    """What the machine has to know to run a part. `probe` None: ready as soon as it runs (one-shots: judged by exit).

    `port` goes to run/<part>.port at start; None: the program writes that file itself. `address` is where people find it
    (a URL or host:port); `optional` parts do not belong to every fleet.
    """

    part: Part
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    probe: Probe | None = None
    port: int | None = None
    address: str | None = None
    optional: bool = False
    cwd: Path | None = None


@dataclass(slots=True)
class Child:
    """A started program."""

    program: Program
    home: FleetHome
    process: asyncio.subprocess.Process
    log_from: int

    @property
    def pid(self) -> int:
        """Also the number of its process group."""
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """To the whole group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def ended(self) -> tuple[int, str]:
        """Wait for its end: (exit code, last line of its log). What it left of its group is killed."""
        code = await self.process.wait()
        self.signal(signal.SIGKILL)
        forget_pid(self.home, self.program.part.name)
        self.home.port_file(self.program.part.name).unlink(missing_ok=True)
        return code, f"{how_it_ended(code)}{_last_words(self.home.log_file(self.program.part.name), self.log_from)}"


async def start(program: Program, home: FleetHome) -> Child:
    """Run the program. A program that cannot be started shows as exit code 127, with the reason in its log."""
    name = program.part.name
    log = home.log_file(name)
    bound_log(log)
    home.port_file(name).unlink(missing_ok=True)
    if program.port is not None:
        write_whole(home.port_file(name), f"{program.port}\n")
    descriptor = open_log(log)
    try:
        log_from = os.lseek(descriptor, 0, os.SEEK_END)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            process_launch.__file__,
            str(os.getpid()),
            *program.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env={**os.environ, **program.environment, MARK: str(home.root), PART_MARK: name},
            cwd=program.cwd,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    child = Child(program, home, process, log_from)
    try:
        record_pid(home, name, process.pid)
    except OSError:
        child.signal(signal.SIGKILL)
        await process.wait()
        raise
    return child


def how_it_ended(code: int) -> str:
    """The exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _last_words(log: Path, since_byte: int) -> str:
    try:
        since_byte = since_byte if since_byte <= log.stat().st_size else 0
    except OSError:
        return ""
    lines = [line for line in last_lines(log, 5, since_byte) if line.strip()]
    return f": {lines[-1][:_LAST_LINE_CHARACTERS_MAX]}" if lines else ""
