"""The process manager of one fleet as a program: `python -m fleet_cli.runner`, started by `supervisor up`.

Says every change of a part as one JSON line on stdout (`logs/supervisor.log`). Which optional parts belong to the fleet
stands in `run/extras`; SIGHUP reads it again.
"""

import asyncio
import json
import sys
from collections.abc import Callable

from fleet_chassis.clock import wall_clock
from fleet_chassis.home import FleetHome
from fleet_chassis.process import PartState
from fleet_chassis.process_files import AlreadyManaged, write_whole
from fleet_chassis.process_run import ProcessRun, Told
from fleet_chassis.settings import FleetSettings
from fleet_cli.exits import Exit
from fleet_cli.parts import programs


def read_extras(home: FleetHome) -> tuple[str, ...]:
    """The optional parts this fleet is to have."""
    try:
        return tuple((home.run / "extras").read_text().split())
    except FileNotFoundError:
        return ()


def write_extras(home: FleetHome, extras: tuple[str, ...]) -> None:
    """Say which optional parts the fleet is to have; a running manager reads it when told to retry."""
    write_whole(home.run / "extras", "".join(f"{name}\n" for name in extras))


def tell_json(write: Callable[[str], object] = sys.stdout.write) -> Told:
    """Says changes as JSON lines."""

    def told(part: str, state: PartState, detail: str) -> None:
        line = {"ts": wall_clock().isoformat(), "level": "info", "part": part, "state": state.value, "detail": detail}
        write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    return told


async def manage(settings: FleetSettings, told: Told) -> int:
    """Run the fleet until it is told to stop; the exit code."""
    home = settings.fleet_home
    run = ProcessRun(home, lambda: programs(settings, read_extras(home)), told=told)
    run.obey_signals()
    try:
        await run.run()
    except AlreadyManaged:
        return Exit.CONFLICT
    return Exit.OK


def main() -> None:
    """Entry point."""
    sys.exit(asyncio.run(manage(FleetSettings.from_environment(), tell_json())))


if __name__ == "__main__":
    main()
