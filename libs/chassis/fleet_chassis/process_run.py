"""The process manager's shell: runs the programs of a fleet the way the `Roster` says, until told to stop.

One task owns the roster; tasks for exits and probes only send it what they saw. SIGTERM or `stop()` drains, `retry()` gives
latched parts a new chance. When this process dies, whatever way, the kernel kills its parts.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from fleet_chassis.clock import Clock, wall_clock
from fleet_chassis.home import FleetHome
from fleet_chassis.process import GOOD, RUNNING, Action, Kill, PartState, Roster, Seat, Start, Terminate
from fleet_chassis.process_child import Child, Program, start
from fleet_chassis.process_files import (
    MANAGER,
    FleetStatus,
    PartStatus,
    forget_pid,
    manager_lock,
    record_pid,
    rfc3339,
    write_status,
)
from fleet_chassis.process_launch import CANNOT_START
from fleet_chassis.process_logs import bound_log

PROBE_STARTING_S = 0.15
PROBE_READY_S = 2.0
STATUS_S = 5.0
_NEWS_MAX = 1000

Programs = Callable[[], Sequence[Program]]
"""Gives the programs of the fleet, in an order in which each stands after those it needs."""
Told = Callable[[str, PartState, str], None]
"""(part, its new state, detail): called at every change."""


@dataclass(frozen=True, slots=True)
class _Exited:
    part: str
    code: int
    detail: str


@dataclass(frozen=True, slots=True)
class _Probed:
    part: str
    pid: int
    missing: str | None


@dataclass(frozen=True, slots=True)
class _Asked:
    what: str


class ProcessRun:
    """Runs one fleet in one home. `await run()` returns when everything has stopped."""

    def __init__(self, home: FleetHome, programs: Programs, *, told: Told | None = None, clock: Clock = wall_clock) -> None:
        self._home, self._programs, self._told, self._clock = home, programs, told, clock
        self._by_name = {program.part.name: program for program in programs()}
        self._children: dict[str, Child] = {}
        self._news: asyncio.Queue[_Exited | _Probed | _Asked] = asyncio.Queue(_NEWS_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._since: dict[str, datetime] = {}
        self._seen: dict[str, PartState] = {}
        self._started_at = clock()

    def stop(self) -> None:
        """Begin the drain; safe to call twice and from a signal handler of the loop."""
        self._ask("drain")

    def retry(self) -> None:
        """Read the list of programs again, start what is new, give latched parts a new chance."""
        self._ask("retry")

    def obey_signals(self) -> None:
        """SIGTERM and SIGINT drain, SIGHUP retries. For the process that does nothing else."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.retry)

    async def run(self) -> None:
        """Own the home until drained. Raises `AlreadyManaged`."""
        with manager_lock(self._home):
            record_pid(self._home, MANAGER, os.getpid())
            self._roster = Roster((program.part for program in self._by_name.values()), self._now())
            try:
                async with asyncio.TaskGroup() as group:
                    self._group = group
                    await self._work()
                    for task in self._tasks:
                        task.cancel()
            finally:
                for child in self._children.values():
                    child.signal(signal.SIGKILL)
                forget_pid(self._home, MANAGER)

    async def _work(self) -> None:
        while True:
            for action in self._roster.act(self._now()):
                await self._do(action)
            self._publish()
            if self._roster.stopped:
                return
            await self._hear()

    async def _hear(self) -> None:
        due = self._roster.next_due()
        wait_s = STATUS_S if due is None else min(STATUS_S, max(0.0, due - self._now()))
        try:
            async with asyncio.timeout(wait_s):
                news = await self._news.get()
        except TimeoutError:
            self._bound_logs()
            return
        self._take(news)
        while not self._news.empty():
            self._take(self._news.get_nowait())

    def _take(self, news: _Exited | _Probed | _Asked) -> None:
        now = self._now()
        match news:
            case _Exited(part, code, detail):
                self._children.pop(part, None)
                self._roster.exited(part, code, now, detail)
            case _Probed(part, pid, missing) if part in self._children and self._children[part].pid == pid:
                if missing is None:
                    self._roster.ready(part, now)
                else:
                    self._roster.unready(part, now, missing)
            case _Asked("drain"):
                self._roster.drain()
            case _Asked("retry"):
                self._add_new(now)
                self._roster.retry(now)

    def _add_new(self, now: float) -> None:
        for program in self._programs():
            if program.part.name not in self._by_name:
                self._by_name[program.part.name] = program
                self._roster.add(program.part, now)

    async def _do(self, action: Action) -> None:
        match action:
            case Start(part):
                await self._start(part)
            case Terminate(part):
                self._children[part].signal(signal.SIGTERM)
            case Kill(part):
                self._children[part].signal(signal.SIGKILL)

    async def _start(self, part: str) -> None:
        try:
            child = await start(self._by_name[part], self._home)
        except OSError as error:
            self._roster.exited(part, CANNOT_START, self._now(), f"cannot start: {error}")
            return
        self._children[part] = child
        self._spawn(self._watch(child))
        self._spawn(self._probe(child))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, child: Child) -> None:
        code, detail = await child.ended()
        await self._news.put(_Exited(child.program.part.name, code, detail))

    async def _probe(self, child: Child) -> None:
        """Tell the first answer and every change, until the child is gone."""
        part, probe = child.program.part, child.program.probe
        if part.one_shot:
            return
        told: str | None = "nothing yet"
        while child.process.returncode is None:
            missing = await probe() if probe else None
            if missing != told:
                told = missing
                await self._news.put(_Probed(part.name, child.pid, missing))
            await asyncio.sleep(PROBE_READY_S if missing is None else PROBE_STARTING_S)

    def _ask(self, what: str) -> None:
        if not self._news.full():
            self._news.put_nowait(_Asked(what))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _bound_logs(self) -> None:
        for name in (MANAGER, *self._by_name):
            bound_log(self._home.log_file(name))

    def _publish(self) -> None:
        now = self._clock()
        for name, seat in self._roster.seats.items():
            if self._seen.get(name) is not seat.state:
                self._seen[name], self._since[name] = seat.state, now
                if self._told:
                    self._told(name, seat.state, seat.detail)
        parts = tuple(self._status(name, seat) for name, seat in self._roster.seats.items())
        status = FleetStatus(self._fleet_state(), os.getpid(), rfc3339(self._started_at), rfc3339(now), parts)
        with suppress(OSError):  # a full disk must not take the fleet along; `written_at` shows that the file is old
            write_status(self._home, status)

    def _status(self, name: str, seat: Seat) -> PartStatus:
        child, program = self._children.get(name), self._by_name[name]
        return PartStatus(
            name,
            seat.state.value,
            child.pid if child and seat.state in RUNNING else None,
            rfc3339(self._since[name]),
            seat.restarts,
            seat.exit_code,
            seat.detail,
            program.address,
            program.optional,
        )

    def _fleet_state(self) -> str:
        if self._roster.draining:
            return "stopped" if self._roster.stopped else "stopping"
        if self._roster.good:
            return "ready"
        states = {seat.state for seat in self._roster.seats.values()} - GOOD
        return "starting" if states <= {PartState.WAITING, PartState.STARTING} else "degraded"
