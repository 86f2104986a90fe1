"""How a leader writes: decide → append through the fence → PubAck → answer (DESIGN §5).

One pipeline per (service, account). One append is in flight; what is put meanwhile leaves as the next message (group
commit). Everything put is held in the core's overlay until it is folded or certainly not stored. The pipeline never
decides; `leadership.py` says when it may write.
"""

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from fleet_chassis.core_api import Waiter
from fleet_chassis.fold import LEADER_HEADER, Fold, leader_of
from fleet_chassis.held import Held
from fleet_chassis.log import Fence, Log, LogUnavailable, Message, NoAnswer, Outcome, Refused, Stored, WrongLast
from fleet_chassis.pipeline_limits import PipelineLimits
from fleet_contracts.entry import Entry, Fact
from fleet_contracts.reasons import Reason
from fleet_contracts.subjects import event_subject, fence_subjects

_log = logging.getLogger(__name__)


class Status(StrEnum):
    """Where an instance stands with an account."""

    FOLLOWING = "FOLLOWING"
    TAKING_OVER = "TAKING_OVER"
    LEADING = "LEADING"


class Deposed(Exception):
    """Another leader has written under the fence."""


class Unsettled(Exception):
    """An append got no answer for as long as anybody waited: stored or not, only taking over again will tell."""


@dataclass(slots=True)
class Put:
    """A fact on its way, who waits for it, and until when (loop seconds)."""

    fact: Fact
    waiter: Waiter | None
    deadline: float


class Pipeline:
    """The only way a service writes facts of an account."""

    def __init__(
        self,
        fold: Fold,
        log: Log,
        *,
        service: str,
        account: str,
        instance: str,
        limits: PipelineLimits | None = None,
    ) -> None:
        self.fold = fold
        self.service = service
        self.account = account
        self.instance = instance
        self.limits = limits or PipelineLimits()
        self.status = Status.FOLLOWING
        self.stalled = False
        self.away = Reason.NO_LEADER
        self.lease_revision = 0
        self._log = log
        self._fence = fence_subjects(account, service)
        self._fence_seq = 0
        self._queue: deque[Put] = deque()
        self._held = Held()
        self._work: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        fold.listeners.append(self._on_folded)
        fold.recall = self._held.recall

    @property
    def leader(self) -> str:
        """What this instance signs its messages with."""
        return f"{self.instance}.{self.lease_revision}"

    @property
    def settled(self) -> bool:
        """Nothing put is still to be folded: the live state is the fold."""
        return not self._held

    def refusal(self) -> Reason | None:
        """Why nothing new is taken now; None when it is."""
        if self.status is not Status.LEADING or self.stalled:
            return self.away if self.status is Status.FOLLOWING else Reason.JOURNAL_UNAVAILABLE
        return Reason.OVERLOADED if len(self._queue) >= self.limits.queue_facts_max else None

    def put(self, fact: Fact, waiter: Waiter | None = None) -> Reason | None:
        """Hold a fact and queue it; or the reason why it is not taken (it is then not held and will not be stored)."""
        if (reason := self.refusal()) is not None:
            return reason
        self.enqueue(fact, waiter)
        return None

    def enqueue(self, fact: Fact, waiter: Waiter | None = None) -> None:
        """`put` without asking: for what a leader owes while it takes over."""
        patience = self._loop.time() + self.limits.patience_s
        self.fold.core.hold(fact)
        self._held.add(fact)
        self._queue.append(Put(fact, waiter, max(patience, waiter.deadline) if waiter else patience))
        if self._work is not None and not self._work.done():
            self._work.set_result(None)

    def is_held(self, key: str) -> bool:
        """A fact with this id is decided and not yet folded."""
        return key in self._held

    async def settle(self, timeout_s: float) -> None:
        """Wait until nothing put is still to be folded, or until the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._held.none.wait()

    async def write(self) -> None:
        """Send groups one after another. Ends only by `Deposed` or `Unsettled`, or cancelled."""
        while True:
            while not self._queue:
                self._work = self._loop.create_future()
                await self._work
            if group := self._next_group():
                await self._send(group)

    async def take_over(self, fact: Fact, timeout_s: float) -> bool:
        """Append the LEADER record and fold up to it: every append still in flight is settled by that.

        False when it could not be stored; the same fact may be tried again. Raises `LogUnavailable`.
        """
        seq = await self._append_leader(fact)
        if seq is None or not await self.fold.reach(seq, timeout_s):
            return False
        self._fence_seq = seq
        self.stalled = False
        self.forget()
        return True

    def forget(self) -> None:
        """Drop all that is held: the fold is past every append of ours, so what it has not met is not in the log."""
        for held in self._held.facts():
            self._drop(held)

    def give_up(self, reason: Reason) -> None:
        """Refuse everything queued: nobody's fact was sent, so nothing of it can be stored."""
        while self._queue:
            put = self._queue.popleft()
            self._drop(put.fact)
            _refuse(put, reason)

    async def _append_leader(self, fact: Fact) -> int | None:
        last = await self._last()
        if last is not None and self._is_mine(last, fact.line):
            return last.seq
        fence = Fence(self._fence, last.seq if last else 0)
        match await self._append(fact, fact.line, fence, self.limits.append_timeout_s):
            case Stored(seq=seq, duplicate=False):
                return seq
            case Refused(description=description):
                _log.error("the log refuses the LEADER record of %s: %s", self.account, description)
                return None
            case _:
                last = await self._last()
                return last.seq if last and self._is_mine(last, fact.line) else None

    def _next_group(self) -> list[Put]:
        """The longest run of one event type that the bounds allow, from the head of the queue; may be empty.

        A fact whose waiter has left is not sent: nobody would use it, and its hold would only be in the way.
        """
        now = self._loop.time()
        group: list[Put] = []
        size = 0
        while self._queue and len(group) < self.limits.group_lines_max:
            put = self._queue[0]
            if put.waiter is not None and put.waiter.deadline <= now:
                self._queue.popleft()
                self._drop(put.fact)
                _refuse(put, Reason.JOURNAL_UNAVAILABLE)
                continue
            size += len(put.fact.line) + 1
            if group and (put.fact.event_type != group[0].fact.event_type or size > self.limits.group_bytes_max):
                break
            group.append(self._queue.popleft())
        return group

    async def _send(self, group: list[Put]) -> None:
        """Send one group until it is settled. Raises `Deposed`, `Unsettled`."""
        facts = [put.fact for put in group]
        body = b"\n".join([fact.line for fact in facts])
        self._held.sent(body, facts)
        deadline = max(put.deadline for put in group)
        clock = self._loop.time
        sent_before = False
        try:
            while True:
                fence = Fence(self._fence, self._fence_seq)
                outcome = await self._append(group[0].fact, body, fence, self.limits.append_timeout_s)
                if await self._settle(group, body, outcome, sent_before):
                    return
                if clock() >= deadline:
                    raise Unsettled
                sent_before = True
                self.stalled = True
                await asyncio.sleep(self.limits.retry_s)
        except BaseException:
            for put in group:
                _refuse(put, Reason.JOURNAL_UNAVAILABLE)
            raise

    async def _settle(self, group: list[Put], body: bytes, outcome: Outcome, sent_before: bool) -> bool:
        """Do what the outcome of an append asks for; False when it told nothing.

        A refusal speaks of this send only: one before it without an answer may still be stored by a cluster's next leader.
        """
        match outcome:
            case Stored(seq=seq, duplicate=False):
                self._stored(group, seq)
                return True
            case Refused(code=code, description=description):
                _log.error("the log refuses facts of %s (%d): %s", self.account, code, description)
                if sent_before:
                    return False
                self._refused(group)
                return True
            case WrongLast() | Stored():
                return await self._look(group, body)
            case NoAnswer():
                return False

    async def _look(self, group: list[Put], body: bytes) -> bool:
        """Somebody has written under the fence; if it was this very append, it is stored."""
        try:
            last = await self._last()
        except LogUnavailable:
            return False
        if last is None or last.seq <= self._fence_seq:
            return False
        if self._is_mine(last, body):
            self._stored(group, last.seq)
            return True
        if not await self.fold.reach(last.seq, self.limits.patience_s):
            raise Unsettled
        if leader_of(last) not in (None, self.leader):
            raise Deposed
        self._fence_seq = last.seq
        self._refused(group)
        return True

    def _stored(self, group: list[Put], seq: int) -> None:
        self._fence_seq = seq
        self.stalled = False
        for line, put in enumerate(group):
            if put.waiter is not None:
                put.waiter.stored(put.fact, seq, line)

    def _refused(self, group: list[Put]) -> None:
        """Certainly not stored, unless the fold has just met it."""
        self.stalled = False
        for put in group:
            self._drop(put.fact)
            _refuse(put, Reason.JOURNAL_UNAVAILABLE)

    def _drop(self, fact: Fact) -> None:
        if self._held.remove(fact):
            self.fold.core.drop(fact)

    def _on_folded(self, entry: Entry) -> None:
        if not self._held or entry.address.source != self.service:
            return
        fact = self._held.get(entry.event_id)
        if fact is not None:
            self._drop(fact)
        elif self.status is Status.FOLLOWING and entry.leader not in (None, self.leader):
            self.forget()

    def _is_mine(self, message: Message, body: bytes) -> bool:
        return message.body == body and leader_of(message) == self.leader

    async def _append(self, first: Fact, body: bytes, fence: Fence, timeout_s: float) -> Outcome:
        subject = event_subject(self.account, first.event_type, self.service)
        return await self._log.append(subject, body, fence=fence, headers={LEADER_HEADER: self.leader}, timeout_s=timeout_s)

    async def _last(self) -> Message | None:
        return await self._log.last(self._fence, timeout_s=self.limits.read_timeout_s)


def _refuse(put: Put, reason: Reason) -> None:
    if put.waiter is not None:
        put.waiter.refused(put.fact, reason)
