"""Makes sure that nobody writes to a home: no process manager, nothing left over, and no containers on its volumes.

In containers `run` is each container's own, and so is the manager's lock in it. What all of them share is the volume of
secrets: its folder is locked as well, and `prepare`, before which no container starts, asks for that lock.
"""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import AlreadyManaged, manager_lock
from fleet_chassis.process_sweep import leftovers
from fleet_chassis.settings import LOOPBACK, FleetSettings
from fleet_cli.exits import CliError, Exit

_HERE = (*LOOPBACK, "0.0.0.0", "::")
_LOOK_S = 1.0
_TRIES, _AGAIN_S = 40, 0.05
_STOP_FIRST = "stop it first: `supervisor down`, in containers `docker compose stop`"


@contextmanager
def standing_still(settings: FleetSettings) -> Iterator[Callable[[], None]]:
    """Nobody starts the fleet of this home while this is held. Raises `CliError` when the fleet runs.

    What it gives is to be called before anything is made final: it raises when containers were started all the same.
    """
    home = settings.fleet_home
    try:
        with manager_lock(home, tries=2), secrets_lock(home):
            for pid, part in leftovers(home).items():
                raise CliError(f"{part} still runs (pid {pid}); {_STOP_FIRST}", Exit.CONFLICT)
            _check_containers(settings, "still runs")
            yield lambda: _check_containers(settings, "was started meanwhile, and all of this counts for nothing")
    except AlreadyManaged as error:
        raise CliError(f"the fleet in {home.root} runs; {_STOP_FIRST}", Exit.CONFLICT) from error


@contextmanager
def secrets_lock(home: FleetHome) -> Iterator[None]:
    """Be the only one who prepares, saves or restores this home, in whichever container. Raises `CliError`."""
    folder = home.root / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        for left in range(_TRIES, 0, -1):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if left == 1:
                    raise CliError(f"{home.root} is being saved or restored; wait for it", Exit.CONFLICT) from None
                time.sleep(_AGAIN_S)
        yield
    finally:
        os.close(descriptor)


def _check_containers(settings: FleetSettings, what: str) -> None:
    gateway = f"http://{settings.host}:{settings.gateway_port}"
    for part, address in (("nats", settings.nats), ("questdb", settings.questdb), ("risk-gateway", gateway)):
        if _answers(address):
            raise CliError(f"{part} {what} ({address}); {_STOP_FIRST}", Exit.CONFLICT)


def _answers(address: str) -> bool:
    """Whether somebody listens on another host: a container. (What listens on this one may be another fleet's.)"""
    place = urlsplit(address)
    if place.hostname is None or place.hostname in _HERE or place.port is None:
        return False
    try:
        socket.create_connection((place.hostname, place.port), _LOOK_S).close()
    except OSError:
        return False
    return True
