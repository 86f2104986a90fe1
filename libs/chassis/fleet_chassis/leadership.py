"""When an instance may write: it holds the lease, has appended its LEADER record, and its fold has reached that record.

Taking over is the only recovery path. It is walked at the start, after an append that got no answer, and after a lost
lease; an instance that another leader has deposed goes back to following.
"""

import asyncio
import logging
from collections.abc import Callable

from fleet_chassis.clock import Clock
from fleet_chassis.lease import LEASE_TTL_S, Lease, LeaseUnavailable
from fleet_chassis.log import LogUnavailable
from fleet_chassis.pipeline import Deposed, Pipeline, Status, Unsettled
from fleet_contracts import Leader, Reason, derived_id, encode
from fleet_contracts.entry import Fact

RENEWALS_PER_TTL = 4
RETRY_S = 0.2
TAKE_OVER_TIMEOUT_S = 60.0
"""How long the fold may take to reach the LEADER record before the take-over is tried again."""
OWED_ROUND_S = 2.0
OWED_MAX = 256
"""Rounds of owed facts put in one go; the rest follows with the next batch or tick."""
_log = logging.getLogger(__name__)


class _LeaseLost(Exception):
    """The lease is not ours any more: another instance has it, or its store has been silent for a TTL."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Leadership:
    """Acquires the lease, takes over, lets the pipeline write, steps down. One per pipeline."""

    def __init__(
        self,
        pipeline: Pipeline,
        lease: Lease,
        clock: Clock,
        *,
        on_change: Callable[[Status], None] | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._lease = lease
        self._clock = clock
        self._on_change = on_change
        self._take_overs = 0

    async def run(self) -> None:
        """Try to lead, for ever; gives the lease back when cancelled."""
        try:
            while True:
                revision = await self._acquire()
                if revision is None:
                    await asyncio.sleep(RETRY_S)
                    continue
                self._pipeline.lease_revision = revision
                await self._lead()
        finally:
            self._become(Status.FOLLOWING)
            self._pipeline.give_up(Reason.NO_LEADER)
            await self._lease.release()

    def answer_stirred(self) -> None:
        """Put what the core owes, if anything happened that may have made it due; call it after each folded batch."""
        if self._pipeline.fold.core.stirred:
            self.answer_owed()

    def answer_owed(self) -> None:
        """Put every fact the core owes; call it now and then for the clock's sake."""
        pipeline = self._pipeline
        if pipeline.status is not Status.LEADING:
            return
        for _ in range(OWED_MAX):
            facts = self._owed()
            if not facts or any(pipeline.put(fact) is not None for fact in facts):
                return

    async def _acquire(self) -> int | None:
        try:
            revision = await self._lease.acquire()
        except LeaseUnavailable:
            self._pipeline.away = Reason.JOURNAL_UNAVAILABLE
            return None
        self._pipeline.away = Reason.NO_LEADER
        return revision

    async def _lead(self) -> None:
        """Lead until the lease is lost or another leader has written."""
        pipeline = self._pipeline
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._renew())
                tasks.create_task(self._write())
        except* _LeaseLost as lost:
            pipeline.away = _first(lost).reason
        except* Deposed:
            _log.warning("another leader has written for %s; stepping down", pipeline.account)
            pipeline.away = Reason.NO_LEADER
            pipeline.forget()
        finally:
            self._become(Status.FOLLOWING)
            pipeline.give_up(pipeline.away)

    async def _renew(self) -> None:
        """Keep the lease. Raises `_LeaseLost`."""
        while True:
            await asyncio.sleep(LEASE_TTL_S / RENEWALS_PER_TTL)
            try:
                if not await self._lease.renew():
                    raise _LeaseLost(Reason.NO_LEADER)
            except LeaseUnavailable:
                if not self._lease.held:
                    raise _LeaseLost(Reason.JOURNAL_UNAVAILABLE) from None

    async def _write(self) -> None:
        """Take over and write; again after every append that stayed without an answer. Raises `Deposed`."""
        while True:
            self._become(Status.TAKING_OVER)
            await self._take_over()
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._open())
                    tasks.create_task(self._pipeline.write())
            except* Unsettled:
                _log.warning("an append of %s got no answer; taking over again", self._pipeline.account)
            self._become(Status.TAKING_OVER)
            self._pipeline.give_up(Reason.JOURNAL_UNAVAILABLE)

    async def _take_over(self) -> None:
        self._take_overs += 1
        fact = self._leader_fact()
        while True:
            try:
                if await self._pipeline.take_over(fact, TAKE_OVER_TIMEOUT_S):
                    return
            except LogUnavailable:
                pass
            await asyncio.sleep(RETRY_S)

    async def _open(self) -> None:
        """Store what is owed at take-over, in rounds, before anybody is served."""
        before: list[str] = []
        while facts := self._owed():
            keys = [fact.key for fact in facts]
            if keys == before:
                await asyncio.sleep(RETRY_S)
            before = keys
            for _ in range(OWED_MAX):
                for fact in facts:
                    self._pipeline.enqueue(fact)
                if not (facts := self._owed()):
                    break
            await self._pipeline.settle(OWED_ROUND_S)
        self._become(Status.LEADING)

    def _owed(self) -> list[Fact]:
        """What the core owes and is not on its way."""
        core = self._pipeline.fold.core
        return [fact for fact in core.owed(core.now(self._clock())) if not self._pipeline.is_held(fact.key)]

    def _leader_fact(self) -> Fact:
        """The take-over record; a new one each time, so that an old one in flight is never taken for it."""
        pipeline = self._pipeline
        event = Leader(
            event_type="LEADER",
            account=pipeline.account,
            source=pipeline.service,
            ts=pipeline.fold.core.now(self._clock()),
            event_id=derived_id(pipeline.account, pipeline.service, f"{pipeline.leader}.{self._take_overs}", "LEADER"),
            instance=pipeline.instance,
            lease_revision=pipeline.lease_revision,
        )
        return Fact(event, encode(event), str(event.event_id))

    def _become(self, status: Status) -> None:
        if self._pipeline.status is not status:
            self._pipeline.status = status
            _log.info("%s of %s is %s", self._pipeline.instance, self._pipeline.account, status)
            if self._on_change is not None:
                self._on_change(status)


def _first(group: BaseExceptionGroup[_LeaseLost]) -> _LeaseLost:
    """The first leaf of an exception group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, _LeaseLost)
    return error
