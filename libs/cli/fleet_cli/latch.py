"""The way to halt that needs neither bus nor gateway: a latch file in the home, which bots and the gateway look at (WIRE)."""

import getpass
import os
import time
from pathlib import Path

from fleet_chassis.clock import wall_clock
from fleet_chassis.home import FleetHome
from fleet_cli.where import URL, fleet_settings
from fleet_contracts import Halt, derived_id
from fleet_contracts.encode import encode_part


def can_latch(account: str) -> bool:
    """Whether the account's fleet is one of this machine: its home is here, and no other gateway was named."""
    return URL not in os.environ and account.replace("-", "").replace("_", "").isalnum() and _home().latch.is_dir()


def write_latch(account: str) -> Path:
    """Halt the account; the file is on the disk when this returns. Raises OSError."""
    by, folder = getpass.getuser(), _home().latch / account
    halt_id = derived_id(account, "cli", f"{time.time_ns()}", "HALT", by)
    halt = Halt(halt_id=halt_id, cause="KILL_SWITCH", since=wall_clock(), by=by)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{halt_id}.json"
    beside = path.with_suffix(".tmp")
    with beside.open("wb") as file:
        file.write(encode_part(halt) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return path


def _home() -> FleetHome:
    return fleet_settings().fleet_home
