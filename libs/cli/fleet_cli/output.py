"""Data on stdout as a table, JSON, JSON lines or YAML; words for humans on stderr. Colour only on a terminal."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

from cyclopts import Parameter

if TYPE_CHECKING:
    from rich.console import Console

Format = Literal["table", "json", "jsonl", "yaml"]
Row = Mapping[str, Any]
SCHEMA_VERSION = 1
_WIDTH_OF_A_FILE = 2000
_STYLES = {
    "ALLOW": "green",
    "DENY": "red",
    "HALTED": "bold red",
    "REDUCING": "yellow",
    "ACTIVE": "green",
    "OK": "green",
    "WARN": "yellow",
    "BREACH": "bold red",
    "ready": "green",
    "done": "green",
    "crash-loop": "bold red",
    "backoff": "red",
    "unready": "yellow",
    "starting": "yellow",
}


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Show:
    """The options every reading command has."""

    output: Annotated[Format, Parameter(name=["--output", "-o"], help="how to print the data")] = "table"
    json: Annotated[bool, Parameter(negative="", help="the same as -o json")] = False

    @property
    def format(self) -> Format:
        """What was asked for."""
        return "json" if self.json else self.output


AS_TABLE = Show()


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `value` takes the row's field of that name when not given."""

    name: str
    value: Callable[[Row], Any] | None = None
    right: bool = False

    def of(self, row: Row) -> str:
        """The cell's text; empty for what is not there."""
        found = self.value(row) if self.value else row.get(self.name)
        return "" if found is None else str(found)


def say(text: str) -> None:
    """A line for the human, on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def write(text: str) -> None:
    """A line of data, on stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def show_rows(show: Show, rows: Sequence[Row], columns: Sequence[Column], document: Mapping[str, Any]) -> None:
    """Print a list: `document` is what JSON and YAML show, `rows` what the table and JSON lines show."""
    match show.format:
        case "table":
            show_table(rows, columns)
        case "jsonl":
            for row in rows:
                write(one_line(row))
        case _:
            show_document(show, document)


def show_document(show: Show, document: Mapping[str, Any]) -> None:
    """Print one object as JSON, one JSON line or YAML, with its `schema_version`."""
    whole = {"schema_version": SCHEMA_VERSION, **document}
    if show.format == "yaml":
        import yaml

        write(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True).rstrip())
    else:
        write(one_line(whole) if show.format == "jsonl" else json.dumps(whole, indent=2, ensure_ascii=False))


def one_line(row: Row) -> str:
    """One row as JSON without line breaks."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def show_table(rows: Iterable[Row], columns: Sequence[Column]) -> None:
    """A table on stdout, a line per row. The terminal wraps what is too wide for it, so that names can be copied whole."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.name, justify="right" if column.right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(styled(column.of(row)) for column in columns))
    out = console(sys.stdout)
    out.width = _WIDTH_OF_A_FILE
    with out.capture() as caught:
        out.print(table)
    for line in caught.get().splitlines():
        write(line.rstrip())


def console(stream: TextIO) -> "Console":
    """A console on the stream: colour on a terminal only and not with NO_COLOR; in a file lines are not broken."""
    from rich.console import Console

    terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=terminal,
        no_color="NO_COLOR" in os.environ or not terminal,
        width=None if terminal else _WIDTH_OF_A_FILE,
        highlight=False,
        soft_wrap=not terminal,
    )


def styled(text: str, of: str | None = None) -> str:
    """Text as markup, coloured the way its value (or the value `of`) is; markup in the data stays text."""
    from rich.markup import escape

    style = _STYLES.get(text if of is None else of)
    return f"[{style}]{escape(text)}[/]" if style else escape(text)


def age(seconds: float | None) -> str:
    """An age as people say it: 0.4 s, 12 s, 5 min, 3 h, 2 d."""
    if seconds is None:
        return ""
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{max(seconds, 0):.1f} s" if seconds < 10 else f"{seconds:.0f} s"
