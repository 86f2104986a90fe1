"""One account of one service, driven: restore a snapshot, fold, follow, lead, take snapshots (DESIGN §1, §5)."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fleet_chassis.clock import Clock
from fleet_chassis.core_api import Core, SnapshotParts
from fleet_chassis.fold import Fold, anchor_of
from fleet_chassis.leadership import Leadership
from fleet_chassis.lease import Lease
from fleet_chassis.log import Log, LogUnavailable
from fleet_chassis.pipeline import Pipeline, Status
from fleet_chassis.pipeline_limits import PipelineLimits
from fleet_chassis.snapshots import Snapshot, SnapshotStore
from fleet_contracts.entry import Entry

TICK_S = 0.25
RETRY_S = 0.2
READ_TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)

C = TypeVar("C", bound=Core)


@dataclass(frozen=True, slots=True)
class CoreMaker(Generic[C]):
    """How a core begins: from nothing, or from a snapshot (raises ValueError when it cannot read it)."""

    fresh: Callable[[], C]
    load: Callable[[SnapshotParts], C]


@dataclass(frozen=True, slots=True)
class SnapshotCadence:
    """A snapshot is taken after so many folded lines, or so many seconds if anything was folded, and at the end."""

    lines: int = 50_000
    seconds: float = 300.0


class Drive(Generic[C]):
    """Runs one core: `await open()` once, then `await run()`. `core` and `pipeline` exist after `open()`."""

    core: C
    pipeline: Pipeline

    def __init__(
        self,
        make: CoreMaker[C],
        log: Log,
        lease: Lease,
        clock: Clock,
        *,
        service: str,
        account: str,
        instance: str,
        store: SnapshotStore | None = None,
        cadence: SnapshotCadence | None = None,
        limits: PipelineLimits | None = None,
    ) -> None:
        self.caught_up = asyncio.Event()
        self._make, self._log, self._lease, self._clock = make, log, lease, clock
        self._service, self._account, self._instance = service, account, instance
        self._store, self._limits = store, limits
        self._cadence = cadence or SnapshotCadence()
        self._snapshot_lines = 0

    async def open(
        self,
        listeners: Sequence[Callable[[Entry], None]] = (),
        on_change: Callable[[Status], None] | None = None,
    ) -> None:
        """Restore the newest usable snapshot, or begin from nothing. `listeners` see every folded line."""
        self.core, seq, anchor = await self._restore()
        fold = Fold(self.core, service=self._service, account=self._account, seq=seq, anchor=anchor)
        fold.listeners.extend(listeners)
        self.pipeline = Pipeline(
            fold, self._log, service=self._service, account=self._account, instance=self._instance, limits=self._limits
        )
        self.leadership = Leadership(self.pipeline, self._lease, self._clock, on_change=on_change)

    async def run(self) -> None:
        """Fold, lead when possible, take snapshots; for ever. Takes a last snapshot when cancelled."""
        fold = self.pipeline.fold
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(fold.follow(self._log, self.leadership.answer_stirred))
                tasks.create_task(self._notice_caught_up())
                tasks.create_task(self.leadership.run())
                tasks.create_task(self._tick())
                if self._store is not None:
                    tasks.create_task(self._take_snapshots(self._store))
        finally:
            if self._store is not None and fold.lines > self._snapshot_lines:
                await self._save(self._store)

    async def _restore(self) -> tuple[C, int, str]:
        """The core as of a snapshot that belongs to this log, else a fresh one at sequence 0."""
        if self._store is not None:
            snapshot = await asyncio.to_thread(self._store.load)
            if snapshot is not None and await self._belongs(snapshot):
                try:
                    return self._make.load(snapshot.parts), snapshot.seq, snapshot.anchor
                except ValueError as error:
                    _log.warning("the snapshot at %d cannot be read (%s); folding from the start", snapshot.seq, error)
        return self._make.fresh(), 0, ""

    async def _belongs(self, snapshot: Snapshot) -> bool:
        """The log still has, at its sequence, the very message the snapshot ends with."""
        while True:
            try:
                message = await self._log.get(snapshot.seq, timeout_s=READ_TIMEOUT_S)
            except LogUnavailable:
                await asyncio.sleep(RETRY_S)
                continue
            if message is not None and anchor_of(message) == snapshot.anchor:
                return True
            _log.warning("the snapshot at %d belongs to another log; folding from the start", snapshot.seq)
            return False

    async def _notice_caught_up(self) -> None:
        """Set `caught_up` when the fold has reached what was the log's end at the start."""
        fold = self.pipeline.fold
        while True:
            try:
                ends = [await self._log.last(subjects, timeout_s=READ_TIMEOUT_S) for subjects in fold.subjects]
                break
            except LogUnavailable:
                await asyncio.sleep(RETRY_S)
        end = max((message.seq for message in ends if message is not None), default=0)
        while not await fold.reach(end, READ_TIMEOUT_S):
            pass
        self.caught_up.set()

    async def _tick(self) -> None:
        """What time alone makes due (a day's end, an expired request) is looked for four times a second."""
        while True:
            await asyncio.sleep(TICK_S)
            self.leadership.answer_owed()

    async def _take_snapshots(self, store: SnapshotStore) -> None:
        clock = asyncio.get_running_loop().time
        taken = clock()
        while True:
            await asyncio.sleep(1.0)
            lines = self.pipeline.fold.lines - self._snapshot_lines
            if lines >= self._cadence.lines or (lines and clock() - taken >= self._cadence.seconds):
                await self._save(store)
                taken = clock()

    async def _save(self, store: SnapshotStore) -> None:
        """Take one snapshot; a disk that refuses it costs a longer fold, so it is logged and tried again later."""
        fold = self.pipeline.fold
        self._snapshot_lines = fold.lines
        snapshot = Snapshot(fold.seq, fold.anchor, self.core.dump())
        try:
            await asyncio.to_thread(store.save, snapshot)
        except OSError as error:
            _log.error("no snapshot of %s: %s", self._account, error)
