"""Ends what a dead manager left behind: nothing on Linux as a rule, everything where the kernel offers no such help.

Used by `up` before it starts and by `down` at its end; never while a manager lives.
"""

import os
import signal
import time
from contextlib import suppress

from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import MANAGER, forget_pid, living_pid, marked_pids, recorded_parts

_LOOK_S = 0.05
_KILL_WAIT_S = 5.0


class StillRunning(Exception):
    """Processes that even SIGKILL did not end: in the kernel's hands, or another user's."""


def leftovers(home: FleetHome) -> dict[int, str]:
    """pid → part of everything of this home that still runs, this process and the manager left out."""
    found = marked_pids(home)
    for part in recorded_parts(home):
        pid = living_pid(home, part)
        if pid is not None and part != MANAGER:
            found[pid] = part
    found.pop(os.getpid(), None)
    return found


def sweep(home: FleetHome, stop_s: float = 5.0) -> dict[int, str]:
    """End all leftovers, forget their pid and port files, and return what was ended. Raises `StillRunning`."""
    ended = leftovers(home)
    left = _end(home, signal.SIGTERM, stop_s) and _end(home, signal.SIGKILL, _KILL_WAIT_S)
    if left:
        raise StillRunning(", ".join(f"{part} (pid {pid})" for pid, part in sorted(left.items())))
    for part in recorded_parts(home):
        forget_pid(home, part)
        home.port_file(part).unlink(missing_ok=True)
    return ended


def _end(home: FleetHome, number: signal.Signals, wait_s: float) -> dict[int, str]:
    until = time.monotonic() + wait_s
    left = leftovers(home)
    for pid in left:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    while left and time.monotonic() < until:
        time.sleep(_LOOK_S)
        left = leftovers(home)
    return left
