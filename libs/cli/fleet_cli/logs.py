"""`supervisor logs PART`: the end of a part's log, and what comes after with -f."""

import os
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fleet_chassis.process_logs import last_lines
from fleet_cli.exits import CliError, Exit
from fleet_cli.output import write
from fleet_cli.where import fleet_settings, refuse_in_containers

_LOOK_S = 0.3


def logs(
    part: str,
    /,
    *,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="", help="go on with what is written later")] = False,
    lines: Annotated[int, Parameter(name=["--lines", "-n"], help="how many lines of the past")] = 50,
) -> None:
    """The log of one part (`supervisor` is the process manager's own).

    Args:
        part: a part as `supervisor status` names it
    """
    refuse_in_containers(f"docker compose logs {part}")
    home = fleet_settings().fleet_home
    path = home.log_file(part)
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in home.logs.glob("*.log"))) or "none yet"
        raise CliError(f"no log of a part {part!r} in {home.logs}; there are: {known}", Exit.NOT_FOUND)
    position = path.stat().st_size
    for line in last_lines(path, lines):
        write(line)
    while follow:
        time.sleep(_LOOK_S)
        position = _more(path, position)


def _more(path: Path, position: int) -> int:
    """Print what was added since `position`; a log that shrank was put aside and begins anew."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(position if position <= end else 0)
        block = file.read()
    complete = block[: block.rfind(b"\n") + 1]
    for line in complete.decode("utf-8", "replace").splitlines():
        write(line)
    return (position if position <= end else 0) + len(complete)
