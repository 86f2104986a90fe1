"""The demo's own fleet: a home that is made afresh, a configuration with virtual time, ports nobody uses."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from fleet_chassis.config import RISK, SUPERVISOR
from fleet_chassis.home import FleetHome
from fleet_chassis.process_ports import free_base
from fleet_cli.down import stop_fleet
from fleet_cli.exits import CliError, Exit
from fleet_cli.where import checkout

_MARK = ".demo"
_PORTS_OF_A_FLEET = 8
_KILL_OF_CANDLES = {"ack_within_s": 180, "flat_within_s": 600}
"""A bot in virtual time hears of a command with its next candle, a minute later."""
_KEPT_VARIABLES = ("FLEET_CACHE", "FLEET_HOST", "FLEET_LOG_LEVEL", "FLEET_QUESTDB_HEAP", "FLEET_FREE_BYTES_MIN")


@contextmanager
def demo_home(root: Path) -> Iterator[FleetHome]:
    """An empty home for one demo at a time. Raises `CliError` for a folder that is not a demo's, or in use."""
    mark = root / _MARK
    if root.exists() and not mark.exists() and any(root.iterdir()):
        raise CliError(f"{root} is not the folder of a demo; it would be emptied. Name another: --home PATH", Exit.CONFLICT)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(mark, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CliError(f"a demo runs in {root}; wait for it, or name another folder: --home PATH", Exit.CONFLICT) from error
        home = FleetHome(root.absolute())
        if home.run.is_dir():
            stop_fleet(home)
        _empty(root)
        home.make()
        yield home
    finally:
        os.close(descriptor)


def _empty(root: Path) -> None:
    for entry in root.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != _MARK:
            entry.unlink()


def write_config(home: FleetHome, *, clock: str, mode: str) -> Path:
    """The configuration of the checkout with the demo's clock and the bot's mode; its folder."""
    source = checkout() / "deploy" / "config"
    folder = home.root / "config"
    folder.mkdir(mode=0o700)
    risk = yaml.safe_load((source / RISK).read_text())
    if clock == "event":
        for account in risk["accounts"].values():
            account["kill"] = _KILL_OF_CANDLES
    (folder / RISK).write_text("# Made by `supervisor demo`.\n" + yaml.safe_dump(risk, sort_keys=False))
    supervisor = yaml.safe_load((source / SUPERVISOR).read_text())
    for account in supervisor["accounts"].values():
        account["clock"] = clock
    for bot in supervisor["bots"].values():
        bot["mode"] = mode if bot["mode"] != "off" else "off"
    (folder / SUPERVISOR).write_text("# Made by `supervisor demo`.\n" + yaml.safe_dump(supervisor, sort_keys=False))
    return folder


def environment_of(home: FleetHome, config: Path, host: str) -> dict[str, str]:
    """Every FLEET_… variable of the demo's fleet. Its journal need not survive a power failure, so it is not synced."""
    base = free_base(host, _PORTS_OF_A_FLEET)
    if base is None:
        raise CliError(f"no {_PORTS_OF_A_FLEET} free ports in a row on {host}; stop something, then try again")
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {
        "FLEET_CACHE": str(checkout() / ".cache"),
        **kept,
        "FLEET_HOME": str(home.root),
        "FLEET_CONFIG": str(config),
        "FLEET_PORT_BASE": str(base),
        "FLEET_NATS_SYNC": "10s",
        "FLEET_QUESTDB_COMMIT": "nosync",
    }
