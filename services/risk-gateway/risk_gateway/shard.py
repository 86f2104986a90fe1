"""One account of this instance: its drive, its desk, its latches, and what operators do to it."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from fleet_chassis.clock import Clock
from fleet_chassis.drive import CoreMaker, Drive
from fleet_chassis.home import FleetHome
from fleet_chassis.lease import Lease
from fleet_chassis.log import Log
from fleet_chassis.pipeline import Status
from fleet_chassis.snapshots import SnapshotStore
from fleet_contracts import Fact, Halt, Mark, Reason, derived_id, event_subject
from risk_gateway.core.account import Account
from risk_gateway.core.admission import Admission
from risk_gateway.core.memory import id_hash
from risk_gateway.core.rules import Setup
from risk_gateway.core.state import SERVICE
from risk_gateway.desk import Desk
from risk_gateway.latches import LatchFiles
from risk_gateway.recent import Recent, Stored, Wanted, decisions_of

RECORD_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 2.0
LATCH_POLL_S = 0.5
_log = logging.getLogger(__name__)


class NotRecorded(Exception):
    """A command could not be stored; `reason` is one of the four no-decisions. Nothing has changed."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Stop:
    """Who asked for what, and why; `key` makes it one command however often it is sent."""

    by: str
    role: str
    reason: str
    key: str


class _Record:
    """Waits for one fact to be stored."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.done: asyncio.Future[Reason | None] = asyncio.get_running_loop().create_future()

    def stored(self, fact: Fact, seq: int, line: int) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def refused(self, fact: Fact, reason: Reason) -> None:
        if not self.done.done():
            self.done.set_result(reason)


class Shard:
    """One account. `core`, `desk` exist once `open()` has returned; halting works from the start."""

    core: Account
    desk: Desk
    drive: Drive[Account]

    def __init__(self, account: str, setup: Setup, home: FleetHome, instance: str, clock: Clock) -> None:
        self.account, self.setup, self.instance = account, setup, instance
        self.latches = LatchFiles(home.latch / account)
        self.recent = Recent()
        self.is_open = False
        self._clock = clock
        self._store = SnapshotStore(home.snapshots / instance / account)
        self._early: dict[str, Halt] = self.latches.read()
        self._listeners: list[Callable[[Status], None]] = []

    def on_status(self, listener: Callable[[Status], None]) -> None:
        """Hear when this instance begins or ends to lead the account."""
        self._listeners.append(listener)

    async def open(self, log: Log, lease: Lease, admission: Admission, mark: Callable[[str, str], Mark | None]) -> None:
        """Restore the state; `run()` follows."""
        self.drive = Drive(
            CoreMaker(lambda: Account(self.account, self.setup), lambda parts: Account.load(self.account, self.setup, parts)),
            log,
            lease,
            self._clock,
            service=SERVICE,
            account=self.account,
            instance=self.instance,
            store=self._store,
        )
        self._log = log
        await self.drive.open([self.recent.see], self._on_status)
        self.core = self.drive.core
        for halt in self._early.values():
            self.core.latch(halt)
        self.desk = Desk(
            self.core,
            self.drive.pipeline,
            log,
            self._clock,
            admission,
            leads=lambda: lease.held,
            mark=lambda symbol: mark(self.account, symbol),
        )
        self.is_open = True

    async def run(self) -> None:
        """Drive the account, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.drive.run())
            tasks.create_task(self._keep_latches())
            tasks.create_task(self._calm_collector())

    @property
    def leads(self) -> bool:
        return self.is_open and self.drive.pipeline.status is Status.LEADING

    @property
    def halts(self) -> list[Halt]:
        return self.core.halts if self.is_open else list(self._early.values())

    def now(self) -> datetime:
        """The account's time."""
        return self.core.now(self._clock()) if self.is_open else self._clock()

    async def remembered(self, order_id: str, bot: str | None) -> list[Stored]:
        """Decisions of an order id that have left the memory of recent ones; needs the bot. Raises `LogUnavailable`."""
        memo = self.core.state.memory.find(id_hash(bot, order_id)) if bot else None
        if memo is None:
            return []
        message = await self._log.get(memo.seq, timeout_s=READ_TIMEOUT_S)
        found = decisions_of(message, Wanted()) if message is not None else []
        return [row for row in found if row.line == memo.line]

    async def read_decisions(self, seq: int, line: int, wanted: Wanted, limit: int) -> list[Stored]:
        """Matching decisions behind a cursor, read from the log, at most `limit`; stops where memory begins."""
        found: list[Stored] = []
        subject = event_subject(self.account, "ORDER_DECISION", SERVICE)
        async with contextlib.aclosing(self._log.read(max(seq, 1), [subject])) as batches:  # type: ignore[type-var]
            async for batch in batches:
                for message in batch:
                    found += [row for row in decisions_of(message, wanted) if (row.seq, row.line) > (seq, line)]
                if not batch or len(found) >= limit or batch[-1].seq >= self.recent.oldest:
                    break
        return found[:limit]

    async def halt(self, stop: Stop, cause: str) -> tuple[Halt, bool]:
        """Halt the account: latch file, memory, then the record. Returns the halt and whether the log has it already.

        Raises OSError when the latch file cannot be written; the halt is then in force in this process all the same.
        """
        halt = Halt(
            halt_id=derived_id(self.account, SERVICE, stop.key, "HALT"),
            cause=cause,
            since=self.now(),
            latched=True,
            by=stop.by,
        )
        self._early[halt.halt_id] = halt
        if self.is_open:
            self.core.latch(halt)
        await asyncio.to_thread(self.latches.write, halt)
        if not self.leads:
            return halt, False
        command = self._command("halt", stop, {"halt_id": halt.halt_id, "cause": cause})
        reason = await self.record(command)
        if reason is None:
            self.drive.leadership.answer_owed()
            await self.drive.pipeline.settle(RECORD_TIMEOUT_S)
        return halt, halt.halt_id in self.core.state.halts

    async def resume(self, stop: Stop, halt_ids: set[str]) -> None:
        """Lift halts: the command is stored first, then the state without them. Raises `NotRecorded`."""
        command = self._command("resume", stop, {"halt_ids": sorted(halt_ids)})
        await self._must(command)
        await self._must(self.core.resume_fact(halt_ids, command.key, self.now()))
        await self.drive.pipeline.settle(RECORD_TIMEOUT_S)
        await self._drop_lifted()

    async def apply_limits(self, stop: Stop, setup: Setup) -> int:
        """Put other limits in force: the command first, then the next revision. Raises `NotRecorded`."""
        command = self._command(
            "limits", stop, {"from_revision": self.core.state.rules.revision if self.core.state.rules else 0}
        )
        await self._must(command)
        fact = self.core.limits_fact(setup, command.key, self.now(), by=stop.by, reason=stop.reason)
        await self._must(fact)
        await self.drive.pipeline.settle(RECORD_TIMEOUT_S)
        self.setup = setup
        rules = self.core.state.rules
        return rules.revision if rules else 0

    async def record(self, fact: Fact) -> Reason | None:
        """Store a fact; the reason when it was not."""
        record = _Record(asyncio.get_running_loop().time() + RECORD_TIMEOUT_S)
        refusal = self.drive.pipeline.put(fact, record)
        if refusal is not None:
            return refusal
        try:
            async with asyncio.timeout(RECORD_TIMEOUT_S * 2):
                return await record.done
        except TimeoutError:
            return Reason.JOURNAL_UNAVAILABLE

    async def _must(self, fact: Fact) -> None:
        reason = await self.record(fact)
        if reason is not None:
            raise NotRecorded(reason)

    def _command(self, command: str, stop: Stop, target: dict[str, object]) -> Fact:
        return self.core.command(
            command, self.now(), by=stop.by, role=stop.role, reason=stop.reason, key=stop.key, target=target
        )

    def _on_status(self, status: Status) -> None:
        for listener in self._listeners:
            listener(status)

    async def _keep_latches(self) -> None:
        """Another instance, or a person, may write a latch file; one the log shows as lifted is deleted."""
        while True:
            for halt_id, halt in (await asyncio.to_thread(self.latches.read)).items():
                if halt_id not in self.core.latches and halt_id not in self.core.state.resumed:
                    _log.warning("latch file %s halts account %s", halt_id, self.account)
                    self.core.latch(halt)
            if self.drive.caught_up.is_set():
                await self._drop_lifted()
            await asyncio.sleep(LATCH_POLL_S)

    async def _drop_lifted(self) -> None:
        for halt_id in [halt_id for halt_id in self.core.latches if halt_id in self.core.state.resumed]:
            await asyncio.to_thread(self.latches.delete, halt_id)
            self.core.unlatch(halt_id)
            self._early.pop(halt_id, None)

    async def _calm_collector(self) -> None:
        """After the fold its objects live for days: take them out of the collector's way (limits.md §8)."""
        await self.drive.caught_up.wait()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1_000)
