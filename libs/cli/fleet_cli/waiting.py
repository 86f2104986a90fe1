"""Waits for a fleet to be ready: a live table on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import MANAGER, FleetStatus, PartStatus, is_managed, read_status
from fleet_chassis.process_logs import last_lines
from fleet_cli.exits import CliError, Exit
from fleet_cli.output import console, say

if TYPE_CHECKING:
    from rich.live import Live

_LOOK_S = 0.1
_BEGIN_S = 10.0
_MARKS = {"ready": "[green]✔[/]", "done": "[green]✔[/]", "crash-loop": "[red]✘[/]", "backoff": "[red]↻[/]"}


class Display(Protocol):
    """Shows how far the fleet is."""

    def show(self, status: FleetStatus) -> None:
        """Called several times a second."""
        ...


def wait_ready(home: FleetHome, timeout_s: float, asked_at: str = "") -> FleetStatus:
    """Wait until every part is ready. Raises `CliError` when a part keeps failing, the manager ends, or time is up.

    `asked_at` (RFC 3339): a status the manager wrote before it was asked to try again says nothing.
    """
    begun, until = time.monotonic(), time.monotonic() + timeout_s
    with _display() as display:
        while True:
            managed = is_managed(home)
            status = read_status(home) if managed else None
            if status and status.written_at >= asked_at:
                display.show(status)
                if status.state == "ready":
                    return status
                _fail_on_crash_loop(status)
            if not managed and time.monotonic() - begun > _BEGIN_S:
                raise CliError(f"the process manager does not run: {_last_words(home)}", Exit.FAILURE)
            if time.monotonic() > until:
                raise CliError(_what_is_missing(status, timeout_s), Exit.TIMEOUT)
            time.sleep(_LOOK_S)


def _fail_on_crash_loop(status: FleetStatus) -> None:
    for part in status.parts:
        if part.state == "crash-loop":
            raise CliError(
                f"{part.name} keeps failing: {part.detail}. See `supervisor logs {part.name}`; the rest goes on running, "
                "`supervisor up` tries again, `supervisor down` stops it",
                Exit.UNHEALTHY,
            )


def _what_is_missing(status: FleetStatus | None, timeout_s: float) -> str:
    late = [part for part in status.parts if part.state not in ("ready", "done")] if status else []
    names = "; ".join(f"{part.name} is {part.state}{f' ({part.detail})' if part.detail else ''}" for part in late)
    return f"not ready within {timeout_s:.0f} s: {names or 'no word from the process manager'}. See `supervisor status`"


def _last_words(home: FleetHome) -> str:
    lines = [line for line in last_lines(home.log_file(MANAGER), 3) if line.strip()]
    return lines[-1] if lines else f"see {home.log_file(MANAGER)}"


class _Lines:
    """One line per change."""

    def __init__(self) -> None:
        self._begun, self._shown = time.monotonic(), dict[str, str]()

    def show(self, status: FleetStatus) -> None:
        for part in status.parts:
            if self._shown.get(part.name) != part.state:
                self._shown[part.name] = part.state
                if part.state != "waiting":
                    say(f"{time.monotonic() - self._begun:5.1f} s  {part.name}: {part.state}{_detail(part)}")


def _detail(part: PartStatus) -> str:
    return f" ({part.detail})" if part.detail and part.state in ("backoff", "crash-loop", "unready") else ""


@contextmanager
def _display() -> Iterator[Display]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.live import Live

    with Live(console=console(sys.stderr), refresh_per_second=8, transient=False) as live:
        yield _Table(live)


class _Table:
    """A live table."""

    def __init__(self, live: "Live") -> None:
        self._live, self._begun = live, time.monotonic()

    def show(self, status: FleetStatus) -> None:
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=None, show_header=False, pad_edge=False)
        for part in status.parts:
            table.add_row(_MARKS.get(part.state, "[yellow]…[/]"), part.name, part.state, escape(part.detail))
        table.add_row("", f"[dim]{time.monotonic() - self._begun:.0f} s[/]")
        self._live.update(table)
