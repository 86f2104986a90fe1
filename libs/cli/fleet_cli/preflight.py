"""What must hold before a fleet starts; every failure is one line that says what to do."""

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fleet_chassis.home import FleetHome
from fleet_chassis.process_ports import Holder, free_base, holder, is_free
from fleet_chassis.process_sweep import StillRunning, sweep
from fleet_cli.exits import CliError

STORES_BYTES = 10**9
"""What the empty database and journal take; ingest pauses when less than `free_bytes_min` is left beside them."""
_GIGABYTE = 10**9
_PORTS_OF_A_FLEET = 8
_COMMAND_CHARACTERS_MAX = 60


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A port a part is going to listen on, and the variable that moves it."""

    part: str
    port: int
    variable: str


def check_home(home: FleetHome) -> None:
    """Make the home and see that it can be written to."""
    try:
        home.make()
        probe = home.run / ".probe"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise CliError(
            f"cannot write to {home.root} ({os.strerror(error.errno or 0)}); make it yours, or choose another folder: "
            "FLEET_HOME=/path supervisor up"
        ) from error


def check_disk(
    home: FleetHome, left_bytes: int, free_bytes: Callable[[FleetHome], int] = lambda home: shutil.disk_usage(home.root).free
) -> None:
    """See that there is room for the stores, with `left_bytes` to spare."""
    free, needed = free_bytes(home), STORES_BYTES + left_bytes
    if free < needed:
        raise CliError(
            f"only {free / _GIGABYTE:.1f} GB are free where {home.root} is, a fleet needs {needed / _GIGABYTE:.1f} GB; "
            "free some, or choose a folder on another disk: FLEET_HOME=/path supervisor up"
        )


def clean_up(home: FleetHome) -> dict[int, str]:
    """End what a dead manager left and forget stale pid files; returns what was ended (pid → part)."""
    try:
        return sweep(home)
    except StillRunning as error:
        raise CliError(f"an earlier fleet in {home.root} still runs and cannot be ended: {error}; end it by hand") from error


def check_ports(
    host: str,
    wanted: Iterable[WantedPort],
    free: Callable[[str, int], bool] = is_free,
    who: Callable[[int], Holder | None] = holder,
) -> None:
    """See that nobody else listens where the parts are going to."""
    for port in wanted:
        if not free(host, port.port):
            by = who(port.port)
            taken = f" by {by.command[:_COMMAND_CHARACTERS_MAX]} (pid {by.pid})" if by else ""
            base = free_base(host, _PORTS_OF_A_FLEET)
            raise CliError(
                f"port {port.port} of {port.part} is taken{taken}; move the whole fleet: "
                f"FLEET_PORT_BASE={base or 'N'} supervisor up, or this one port: {port.variable}=N"
            )
