"""Makes sure that nobody writes to a home: no process manager, nothing left over, and no containers on its volumes."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from fleet_chassis.process_files import AlreadyManaged, manager_lock
from fleet_chassis.process_sweep import leftovers
from fleet_chassis.settings import LOOPBACK, FleetSettings
from fleet_cli.exits import CliError, Exit

_HERE = (*LOOPBACK, "0.0.0.0", "::")
_LOOK_S = 1.0
_STOP_FIRST = "stop it first: `supervisor down`, in containers `docker compose stop`"


@contextmanager
def standing_still(settings: FleetSettings) -> Iterator[None]:
    """Nobody starts the fleet of this home while this is held; containers that were started all the same show at its end.

    Raises `CliError` when the fleet runs.
    """
    home = settings.fleet_home
    try:
        with manager_lock(home, tries=2):
            for pid, part in leftovers(home).items():
                raise CliError(f"{part} still runs (pid {pid}); {_STOP_FIRST}", Exit.CONFLICT)
            _check_containers(settings, "still runs")
            yield
            _check_containers(settings, "was started meanwhile, and all of this counts for nothing")
    except AlreadyManaged as error:
        raise CliError(f"the fleet in {home.root} runs; {_STOP_FIRST}", Exit.CONFLICT) from error


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
