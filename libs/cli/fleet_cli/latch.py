"""The way to halt that needs neither bus nor gateway: a latch file in the home, which bots and the gateway look at (WIRE)."""

import getpass
import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from fleet_chassis.clock import wall_clock
from fleet_chassis.home import FleetHome
from fleet_cli.exits import CliError, Exit
from fleet_cli.output import AS_TABLE, Column, Show, say, show_document, show_rows, write
from fleet_cli.where import URL, fleet_settings
from fleet_contracts import Halt, derived_id
from fleet_contracts.encode import encode_part

AnyAccount = Annotated[str | None, Parameter(name="--account", help="only this account's")]
_COLUMNS = tuple(Column(name) for name in ("account", "halt_id", "scope", "cause", "since", "by"))


def can_latch(account: str) -> bool:
    """Whether the account's fleet is one of this machine: its home is here, and no other gateway was named."""
    return URL not in os.environ and account.replace("-", "").replace("_", "").isalnum() and _home().latch.is_dir()


def list_latches(*, account: AnyAccount = None, show: Show = AS_TABLE) -> None:
    """The latch files in this home. Each stops its bots, whatever the gateway says; a resume deletes it."""
    rows = [row for row in _latches() if account in (None, row["account"])]
    show_rows(show, rows, _COLUMNS, {"items": rows})
    if not rows and show.format == "table":
        say(f"no latch file in {_home().latch}")


def show_latch(halt_id: str, /, *, show: Show = AS_TABLE) -> None:
    """One latch file with all that is in it.

    Args:
        halt_id: as `supervisor latch list` shows it
    """
    row = next((row for row in _latches() if row["halt_id"] == halt_id), None)
    if row is None:
        raise CliError(f"there is no latch file {halt_id}.json in {_home().latch}", Exit.NOT_FOUND)
    if show.format == "table":
        for name, value in row.items():
            write(f"{name}: {value}")
    else:
        show_document(show, row)


def _latches() -> list[dict[str, Any]]:
    """Every file halts, also one that cannot be read: it is shown with what is known of it."""
    return [_row(path) for path in sorted(_home().latch.glob("*/*.json"))]


def _row(path: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"account": path.parent.name, "halt_id": path.stem, "scope": "account", "cause": "unreadable"}
    try:
        found = json.loads(path.read_bytes())
        row |= found if isinstance(found, dict) else {}
    except (OSError, ValueError, RecursionError):
        pass
    return row | {"halt_id": path.stem, "file": str(path)}


def write_latch(
    account: str, *, bot: str | None = None, symbol: str | None = None, flatten: bool = False, under: Path | None = None
) -> Path:
    """Halt a scope, or kill it (`flatten`); the file is on the disk when this returns. Raises OSError.

    `under`: another folder than that of the latches.
    """
    by, folder = getpass.getuser(), (under or _home().latch) / account
    halt_id = derived_id(account, "cli", f"{time.time_ns()}", "HALT", by)
    scope = f"bot:{bot}" if bot is not None else f"symbol:{symbol}" if symbol is not None else "account"
    more = {"flatten": True} if flatten else {}
    halt = Halt(halt_id=halt_id, scope=scope, cause="KILL_SWITCH", since=wall_clock(), by=by, **more)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{halt_id}.json"
    beside = path.with_suffix(".tmp")
    with beside.open("wb") as file:
        file.write(encode_part(halt) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(folder)
    return path


def sync_folder(folder: Path) -> None:
    """The names in it are on the disk when this returns. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _home() -> FleetHome:
    return fleet_settings().fleet_home
