"""Runs the simulated bot of a demo: tied to this process, its progress as a bar, its summary as the result."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from fleet_chassis import process_launch
from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import MARK, PART_MARK
from fleet_chassis.process_logs import last_lines, open_log
from fleet_cli.output import console, say
from fleet_cli.parts import SIMULATOR

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_STOP_S = 15.0
_LINE_EVERY = 0.1
_WIDTH_OF_A_BAR = 132
"""A terminal that is narrower shows how far the run is with less."""
"""Without a terminal: a line at every tenth of the way."""
Json = dict[str, Any]


@dataclass(slots=True)
class Ended:
    """How the bot ended. `figures` and `text` are the summary, None when there is none."""

    code: int
    interrupted: bool
    figures: Json | None
    text: str | None
    last_words: str


def simulator_command(clock: str, mode: str, given: Mapping[str, object]) -> list[str]:
    """The command line; `given` are options by name, None is left out."""
    options = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    return [
        sys.executable,
        "-m",
        "quantumedge_sim",
        "--bot",
        SIMULATOR,
        "--clock",
        clock,
        "--mode",
        mode,
        "--progress",
        "json",
        *options,
    ]


def play(home: FleetHome, environment: Mapping[str, str], command: list[str]) -> Ended:
    """Run the bot to its end; Ctrl-C asks it to stop and takes the summary so far."""
    log = home.log_file(SIMULATOR)
    descriptor = open_log(log)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", process_launch.__file__, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=descriptor,
            text=True,
            env={**_without_fleet(), **environment, MARK: str(home.root), PART_MARK: SIMULATOR},
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    ended = Ended(1, False, None, None, "")
    with process, _display() as display:
        try:
            _listen(process, display, ended)
        except KeyboardInterrupt:
            ended.interrupted = True
            process.send_signal(signal.SIGTERM)
            _listen(process, display, ended)
        finally:
            ended.code = _end(process)
    ended.last_words = _last_message(last_lines(log, 1))
    return ended


def _listen(process: "subprocess.Popen[str]", display: "Display", ended: Ended) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        news: Json = json.loads(line)
        match news["type"]:
            case "progress":
                display.show(news)
            case "summary":
                ended.figures, ended.text = news["figures"], news["text"]


def _end(process: "subprocess.Popen[str]") -> int:
    try:
        return process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _without_fleet() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}


def _last_message(lines: "list[str] | Any") -> str:
    """What the last line of a JSON log says."""
    for line in lines:
        try:
            return str(json.loads(line)["message"])
        except (ValueError, KeyError, TypeError):
            return str(line)
    return "it said nothing"


class Display(Protocol):
    """Shows how far the run is."""

    def show(self, news: Json) -> None:
        """Called with every progress line."""
        ...


def sentence(news: Json) -> str:
    """How far, in words."""
    return (
        f"{news['at'][:16].replace('T', ' ')}  asked {news['asked']:,}  denied {news['denied']:,}  "
        f"trades {news['trades']:,}  equity {news['equity']}"
    )


class _Lines:
    """A line at every tenth of the way."""

    def __init__(self) -> None:
        self._next = 0.0

    def show(self, news: Json) -> None:
        done = news["candles"] / news["candles_all"] if news["candles_all"] else 0.0
        if done >= self._next:
            say(f"{done:4.0%}  {sentence(news)}")
            self._next = done - done % _LINE_EVERY + _LINE_EVERY


class _Bar:
    """A progress bar."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task("trading", total=None)

    def show(self, news: Json) -> None:
        self._progress.update(self._task, total=news["candles_all"], completed=news["candles"], description=sentence(news))


@contextmanager
def _display() -> Iterator[Display]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    out, words = console(sys.stderr), TextColumn("{task.description}")
    wide = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn(), words)
    columns = wide if out.width >= _WIDTH_OF_A_BAR else (BarColumn(bar_width=5), TaskProgressColumn(), words)
    with Progress(*columns, console=out) as progress:
        yield _Bar(progress)
