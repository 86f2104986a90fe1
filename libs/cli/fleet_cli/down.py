"""`supervisor down`: stop the fleet of this home, whoever started it and however it was left. Safe to repeat."""

import os
import signal
import time
from contextlib import suppress
from typing import Annotated

from cyclopts import Parameter

from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import MANAGER, is_managed, living_pid, read_status
from fleet_chassis.process_sweep import StillRunning, sweep
from fleet_cli.exits import CliError, Exit
from fleet_cli.output import say
from fleet_cli.where import fleet_settings, refuse_in_containers

_LOOK_S = 0.1
_KILL_WAIT_S = 5.0


def down(
    *,
    timeout_s: Annotated[float, Parameter(name="--timeout", help="seconds to wait for a graceful stop before killing")] = 60.0,
) -> None:
    """Stop every part of the fleet, last started first. Leaves no process; repeating it is fine."""
    refuse_in_containers("docker compose down")
    home = fleet_settings().fleet_home
    if not home.run.is_dir():
        say(f"there is no fleet in {home.root}")
        return
    stopped = stop_fleet(home, timeout_s)
    say("the fleet is stopped" if stopped else "the fleet was not running")


def stop_fleet(home: FleetHome, timeout_s: float = 60.0) -> bool:
    """Drain a living manager (kill it after `timeout_s`), end what is left over; False when there was nothing.

    Raises `CliError` when a process cannot be ended.
    """
    managed = is_managed(home)
    if managed and not _ended(home, signal.SIGTERM, timeout_s):
        say(f"still not stopped after {timeout_s:.0f} s: killing it")
        if not _ended(home, signal.SIGKILL, _KILL_WAIT_S):
            raise CliError(f"the process manager of {home.root} does not end; look at {home.log_file(MANAGER)}", Exit.TIMEOUT)
    try:
        ended = sweep(home)
    except StillRunning as error:
        raise CliError(f"cannot end {error}; end it by hand, then repeat", Exit.FAILURE) from error
    for pid, part in ended.items():
        say(f"ended {part} (pid {pid}), left over by a manager that died")
    (home.run / "settings.json").unlink(missing_ok=True)
    return managed or bool(ended)


def _ended(home: FleetHome, number: signal.Signals, wait_s: float) -> bool:
    until, sent, told = time.monotonic() + wait_s, False, ""
    while is_managed(home):
        if time.monotonic() > until:
            return False
        pid = living_pid(home, MANAGER)
        if pid is not None and not sent:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                sent = True
        told = _tell_progress(home, told)
        time.sleep(_LOOK_S)
    return True


def _tell_progress(home: FleetHome, told: str) -> str:
    status = read_status(home)
    stopping = ", ".join(part.name for part in status.parts if part.state == "stopping") if status else ""
    if stopping and stopping != told:
        say(f"stopping {stopping} …")
        return stopping
    return told
