"""`supervisor demo`: a fleet of its own, in virtual time, and the simulated bot trading through it; ends with a summary."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

from cyclopts import Parameter

from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import read_status
from fleet_chassis.settings import FleetSettings
from fleet_cli.demo_home import demo_home, environment_of, write_config
from fleet_cli.demo_run import Ended, play, simulator_command
from fleet_cli.down import stop_fleet
from fleet_cli.exits import CliError, Exit
from fleet_cli.output import AS_TABLE, Show, say, show_document, write
from fleet_cli.up import get_ready, start_manager
from fleet_cli.waiting import wait_ready
from fleet_cli.welcome import supervisor
from fleet_cli.where import checkout, refuse_in_containers

SCENARIOS = {"slow-drawdown": "event", "flash-crash": "event", "kill-not-acknowledged": "event", "bus-partition": "wall"}
"""Scenario → the clock of the account it happens on."""
_MODES = {"event": "paper", "wall": "demo"}
_READY_S = 120.0
_SPEED_MAX = 1440.0
_STOP_S = 30.0


def demo(
    *,
    candles: Annotated[Path | None, Parameter(help="real candles, CSV or CSV.gz [default: seeded prices]")] = None,
    scenario: Annotated[str | None, Parameter(help=f"a named situation: {', '.join(SCENARIOS)}")] = None,
    speed: Annotated[str | None, Parameter(help="max, or ×1 … ×1440 of real time [default: max]")] = None,
    seed: Annotated[int, Parameter(help="of prices and luck: the same seed at speed max gives the same summary")] = 7,
    days: Annotated[int | None, Parameter(help="trade only so many days of candles")] = None,
    keep: Annotated[bool, Parameter(negative="", help="leave the fleet running afterwards, to look around")] = False,
    home: Annotated[Path | None, Parameter(help="its folder, made afresh [default: .fleet-demo]")] = None,
    show: Show = AS_TABLE,
) -> int:
    """A month of trading in minutes: every order of the simulated bot is asked for, answered, journaled and counted.

    Runs beside a fleet that is up. Ctrl-C stops everything.
    """
    refuse_in_containers("make demo")
    clock = _check(candles, scenario, speed, days)
    given = {
        "candles": candles and candles.absolute(),
        "scenario": scenario,
        "speed": _speed(speed, clock),
        "seed": seed,
        "days": days,
    }
    with demo_home(home or checkout() / ".fleet-demo") as place, _stoppable():
        environment = environment_of(place, write_config(place, clock=clock, mode=_MODES[clock]), "127.0.0.1")
        say(f"a fleet of its own in {place.root}, ports from {environment['FLEET_PORT_BASE']}")
        settings = FleetSettings.from_environment(environment)
        get_ready(settings, ())
        try:
            start_manager(place, environment, tied=not keep)
            wait_ready(place, _READY_S)
            ended = play(place, environment, simulator_command(clock, _MODES[clock], given))
            return _tell(ended, place, show, keep)
        finally:
            if not keep:
                with _undisturbed():
                    stop_fleet(place, _STOP_S)


def _check(candles: Path | None, scenario: str | None, speed: str | None, days: int | None) -> str:
    """The clock to run on. Raises `CliError` for what does not go together."""
    if candles is not None and not candles.is_file():
        raise CliError(f"there is no file {candles}", Exit.NOT_FOUND)
    if scenario is not None and scenario not in SCENARIOS:
        raise CliError(f"there is no scenario {scenario!r}; there are: {', '.join(SCENARIOS)}", Exit.USAGE)
    if days is not None and days < 1:
        raise CliError(f"--days {days}: a whole number from 1 on", Exit.USAGE)
    if days is not None and scenario is not None:
        raise CliError(f"scenario {scenario} has a length of its own; leave --days out", Exit.USAGE)
    clock = SCENARIOS[scenario] if scenario else "event"
    if speed not in (None, "max") and not _is_factor(str(speed)):
        raise CliError(f"--speed {speed}: neither max nor a number from 1 to {_SPEED_MAX:.0f}", Exit.USAGE)
    if speed == "max" and clock == "wall":
        raise CliError(f"scenario {scenario} happens in real time; leave --speed out, or name a number", Exit.USAGE)
    return clock


def _is_factor(text: str) -> bool:
    try:
        return 1 <= float(text) <= _SPEED_MAX
    except ValueError:
        return False


def _speed(speed: str | None, clock: str) -> str | None:
    return speed or ("max" if clock == "event" else None)


def _tell(ended: Ended, home: FleetHome, show: Show, keep: bool) -> int:
    figures, text = ended.figures, ended.text
    if figures is None and ended.interrupted:
        raise KeyboardInterrupt
    if figures is None:
        raise CliError(f"the simulated bot failed (exit code {ended.code}): {ended.last_words}; see {home.log_file('qe1')}")
    if show.format == "table":
        write(str(text).rstrip())
    else:
        show_document(show, figures)
    if ended.interrupted:
        say("stopped before the end: these are the figures so far")
    if keep:
        command = supervisor(home.root)
        say(f"\nThe fleet goes on at {_gateway(home)}. Look around, and end it:")
        for words in ("status", "decisions", "limits show", "down"):
            say(f"  {command} {words}")
    if ended.interrupted:
        return Exit.INTERRUPTED
    return Exit.OK if ended.code == 0 else Exit.FAILURE


def _gateway(home: FleetHome) -> str | None:
    status = read_status(home)
    part = status.part("risk-gateway") if status else None
    return part.address if part else None


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does: with everything stopped."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """While the fleet is being stopped, an impatient second Ctrl-C changes nothing."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
