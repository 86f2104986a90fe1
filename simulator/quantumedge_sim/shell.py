"""The program around a run: the SDK's bot, signals, progress lines, exit codes."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fleet_contracts import format_ts
from fleet_sdk import Bot, BotSettings, SdkError
from quantumedge_sim.bot import Progress
from quantumedge_sim.candles import CandlesError
from quantumedge_sim.operator_desk import press_kill
from quantumedge_sim.options import Options, UsageError, parse_options
from quantumedge_sim.relay import Relay, open_relay
from quantumedge_sim.run import Hooks, Run
from quantumedge_sim.store import DamagedStore, Store
from quantumedge_sim.summary import as_json, as_text

OK, FAILED, USAGE, NOT_MET = 0, 1, 2, 3
VIRTUAL_DEADLINE_MS = 30_000
_PROGRESS_S = 0.25
_log = logging.getLogger("quantumedge_sim")


class _JsonLines(logging.Formatter):
    """One log record as one JSON line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "ts": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def run_program(arguments: Sequence[str]) -> int:
    """The whole program; returns its exit code."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    try:
        options = parse_options(arguments)
        if options.speed is None:
            logging.getLogger("quantumedge_sim.desk").setLevel(logging.WARNING)
            logging.getLogger("fleet_sdk").setLevel(logging.WARNING)
        run = Run(options, Store(_store_path(options)))
        return asyncio.run(_play(run))
    except (UsageError, CandlesError) as error:
        _log.error("%s", error)
        return USAGE
    except DamagedStore as error:
        _log.error("%s; move it away to begin with a new venue", error)
        return FAILED
    except (SdkError, OSError) as error:
        _log.error("the run failed: %s", error)
        return FAILED


def _home(options: Options) -> Path:
    return options.home or Path(os.environ.get("FLEET_HOME") or ".fleet")


def _store_path(options: Options) -> Path | None:
    """In wall time the venue outlives the bot; in virtual time every run begins anew."""
    if options.clock == "event":
        return None
    return _home(options) / "data" / "venue" / f"{options.bot}-{options.account}.json"


def _settings(run: Run) -> BotSettings:
    options = run.options
    more: dict[str, Any] = {"profile": run.profile.name, "version": "1"}
    if run.clock is not None:
        more |= {"virtual_time": run.clock, "deadline_ms": VIRTUAL_DEADLINE_MS, "connect_wait_s": VIRTUAL_DEADLINE_MS / 1000}
    return BotSettings.from_home(options.bot, options.account, _home(options), mode=options.mode, **more)


async def _play(run: Run) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    teller = _Teller(run.options.progress == "json")
    async with _wire(run) as (settings, relay), asyncio.TaskGroup() as tasks, Bot(settings) as bot:
        partitions = _Partitions(run, relay, tasks)
        press = run.options.scenario.press if run.options.scenario else None

        def on_candle(number: int) -> None:
            partitions.on_candle(number)
            if press is not None and number == press.at:
                press_kill(_home(run.options), run.options.account, press.reason)

        figures = await run.play(bot, stop, Hooks(teller.progress, on_candle))
        partitions.end()
    teller.end(figures)
    if run.options.summary is not None:
        run.options.summary.write_text(as_json(figures), encoding="utf-8")
    unmet = [what for what, met in figures["expectations"].items() if not met]
    return NOT_MET if unmet and not stop.is_set() else OK


@contextlib.asynccontextmanager
async def _wire(run: Run) -> AsyncIterator[tuple[BotSettings, Relay | None]]:
    """The way to the bus; with a scenario that cuts it, through a relay."""
    settings = _settings(run)
    if run.options.scenario is None or not run.options.scenario.partitions:
        yield settings, None
        return
    async with open_relay(settings.nats_url) as relay:
        yield replace(settings, nats_url=f"nats://127.0.0.1:{relay.port}"), relay


class _Partitions:
    """Cuts the wire when its candle has come."""

    def __init__(self, run: Run, relay: Relay | None, tasks: asyncio.TaskGroup) -> None:
        scenario = run.options.scenario
        self._due = {partition.at: partition.seconds for partition in scenario.partitions} if scenario else {}
        self._relay, self._tasks = relay, tasks
        self._cuts: list[asyncio.Task[None]] = []

    def on_candle(self, number: int) -> None:
        seconds = self._due.pop(number, None)
        if seconds is not None and self._relay is not None:
            _log.warning("the bus is cut off for %.0f s", seconds)
            self._cuts.append(self._tasks.create_task(self._relay.cut_for(seconds)))

    def end(self) -> None:
        for cut in self._cuts:
            cut.cancel()


class _Teller:
    """Progress and summary on stdout: JSON lines, or the summary alone as text."""

    def __init__(self, as_lines: bool) -> None:
        self._as_lines = as_lines
        self._started = time.monotonic()
        self._said = 0.0

    def progress(self, progress: Progress) -> None:
        now = time.monotonic()
        done = progress.candles == progress.candles_all
        if not self._as_lines or (now - self._said < _PROGRESS_S and not done):
            return
        self._said = now
        elapsed_s = now - self._started
        rest = (progress.candles_all - progress.candles) if progress.candles_all is not None else None
        self._line(
            {
                "type": "progress",
                "candles": progress.candles,
                "candles_all": progress.candles_all,
                "at": format_ts(progress.at),
                "equity": format(progress.equity, ".2f"),
                "asked": progress.asked,
                "denied": progress.denied,
                "trades": progress.trades,
                "elapsed_s": round(elapsed_s, 1),
                "eta_s": None if rest is None else round(elapsed_s / progress.candles * rest, 1),
            }
        )

    def end(self, figures: dict[str, Any]) -> None:
        if self._as_lines:
            self._line({"type": "summary", "figures": figures, "text": as_text(figures)})
        else:
            sys.stdout.write(as_text(figures))
            sys.stdout.flush()

    @staticmethod
    def _line(fields: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(fields, ensure_ascii=False) + "\n")
        sys.stdout.flush()
