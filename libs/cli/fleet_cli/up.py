"""`supervisor up`: check, make secrets, start the process manager in the background, wait until the fleet is ready."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Annotated, Literal

from cyclopts import Parameter

from fleet_chassis import process_launch
from fleet_chassis.clock import wall_clock
from fleet_chassis.home import FleetHome
from fleet_chassis.process import PartState
from fleet_chassis.process_files import MANAGER, AlreadyManaged, is_managed, living_pid, manager_lock, rfc3339
from fleet_chassis.process_logs import bound_log, open_log
from fleet_chassis.settings import FleetSettings
from fleet_cli.backup_manifest import UNFINISHED, is_unfinished
from fleet_cli.exits import CliError, Exit
from fleet_cli.output import say
from fleet_cli.parts import SIMULATOR, prepare, wanted_ports
from fleet_cli.preflight import check_disk, check_home, check_ports, clean_up
from fleet_cli.runner import manage, read_extras, write_extras
from fleet_cli.waiting import wait_ready
from fleet_cli.welcome import welcome
from fleet_cli.where import STANDBY, fleet_environment, fleet_settings, refuse_in_containers, remember


def up(
    *,
    foreground: Annotated[bool, Parameter(negative="", help="stay in this terminal; Ctrl-C stops the fleet")] = False,
    with_simulator: Annotated[bool, Parameter(negative="", help="also run the simulated bot qe1 on account main")] = False,
    gateways: Annotated[Literal[1, 2], Parameter(help="2: one leads, one follows hot and takes over within seconds")] = 1,
    timeout_s: Annotated[float, Parameter(name="--timeout", help="seconds to wait for readiness")] = 120.0,
) -> int:
    """Start NATS, QuestDB and the services of this home, in order of readiness. Repeating it is fine."""
    refuse_in_containers("docker compose up")
    settings = fleet_settings(remembered=False)
    home = settings.fleet_home
    if timeout_s <= 0:
        raise CliError("--timeout: more than 0 seconds", Exit.USAGE)
    check_home(home)
    extras = tuple(name for name, wanted in ((STANDBY, gateways == 2), (SIMULATOR, with_simulator)) if wanted)
    if is_managed(home):
        return _join(home, extras, timeout_s)
    get_ready(settings, extras)
    if foreground:
        os.environ.update(fleet_environment(remembered=False))
        return asyncio.run(manage(settings, _tell_human))
    start_manager(home, fleet_environment(remembered=False))
    _wait(home, timeout_s)
    welcome(settings)
    return Exit.OK


def run_foreground(
    *,
    with_simulator: Annotated[bool, Parameter(negative="", help="also run the simulated bot qe1 on account main")] = False,
    gateways: Annotated[Literal[1, 2], Parameter(help="2: one leads, one follows hot and takes over within seconds")] = 1,
) -> int:
    """The same as `supervisor up --foreground`: for systemd, containers, and watching."""
    return up(foreground=True, with_simulator=with_simulator, gateways=gateways)


def get_ready(settings: FleetSettings, extras: tuple[str, ...]) -> None:
    """All checks, secrets and downloads before the first part starts. Raises `CliError`."""
    home = settings.fleet_home
    if is_unfinished(home.root):
        raise CliError(UNFINISHED, Exit.INTEGRITY)
    try:
        with manager_lock(home, tries=2):
            check_disk(home, settings.free_bytes_min)
            for pid, part in clean_up(home).items():
                say(f"ended {part} (pid {pid}), left over by a manager that died")
            check_ports(settings.host, wanted_ports(settings))
            prepare(settings)
            before = read_extras(home)
            if SIMULATOR in before and SIMULATOR not in extras:
                say(f"this time without the simulated bot {SIMULATOR}; `make up` runs it, or `supervisor up --with-simulator`")
            if STANDBY in before and STANDBY not in extras:
                say("this time without a second gateway; `supervisor up --gateways 2` runs it")
            write_extras(home, extras)
            remember(home, settings)
            (home.run / "status.json").unlink(missing_ok=True)
    except AlreadyManaged as error:
        raise CliError(f"another `supervisor up` is at work in {home.root}; wait for it", Exit.CONFLICT) from error


def start_manager(home: FleetHome, environment: Mapping[str, str], *, tied: bool = False) -> None:
    """Start the process manager in a session of its own; it outlives this command and this terminal, unless `tied`.

    `environment` holds every FLEET_… variable it is to see.
    """
    log = home.log_file(MANAGER)
    bound_log(log)
    tie = [sys.executable, "-I", "-S", process_launch.__file__, str(os.getpid())] if tied else []
    others = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    descriptor = open_log(log)
    try:
        subprocess.Popen(
            [*tie, sys.executable, "-m", "fleet_cli.runner"],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env={**others, **environment},
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _join(home: FleetHome, extras: tuple[str, ...], timeout_s: float) -> int:
    """The fleet runs: add what is missing, give latched parts a new chance, wait."""
    settings = fleet_settings()
    say(f"the fleet in {home.root} is already running")
    write_extras(home, tuple(dict.fromkeys((*read_extras(home), *extras))))
    asked_at, pid = rfc3339(wall_clock()), living_pid(home, MANAGER)
    if pid is not None:
        os.kill(pid, signal.SIGHUP)
    _wait(home, timeout_s, asked_at)
    welcome(settings)
    return Exit.OK


def _wait(home: FleetHome, timeout_s: float, asked_at: str = "") -> None:
    """Ctrl-C ends the waiting, not the fleet, and says so."""
    try:
        wait_ready(home, timeout_s, asked_at)
    except KeyboardInterrupt as error:
        text = "no longer waiting; the fleet goes on starting: see `supervisor status`, stop it with `supervisor down`"
        raise KeyboardInterrupt(text) from error


def _tell_human(part: str, state: PartState, detail: str) -> None:
    say(f"{part}: {state.value}{f' ({detail})' if detail else ''}")
