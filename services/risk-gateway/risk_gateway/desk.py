"""The desk of one account: the common way of both synchronous doors, from an order to the bytes of its answer.

Every caller is answered exactly once, at its deadline at the latest. An ALLOW leaves only after its PubAck, and not when a
halt has taken effect meanwhile. Callbacks, not coroutines: nothing here waits in line behind another caller's append.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from functools import partial

from fleet_chassis.clock import Clock
from fleet_chassis.log import Log, LogUnavailable
from fleet_chassis.pipeline import Pipeline
from fleet_contracts import Entry, Fact, OrderDecision, Provenance, Reason, parse
from risk_gateway.answers import no_decision, repeated, voided
from risk_gateway.core.account import Account, Asked, InFlight, NewDecision, NotReady, Repeat
from risk_gateway.core.admission import Admission
from risk_gateway.core.decision import Order
from risk_gateway.decision_line import write

DEADLINE_MS = 250
DEADLINE_MS_MAX = 60_000
WAITING_MAX = 4096
JOINED_MAX = 256
LATER_OF_A_BOT_MAX = 512
"""Orders of a bot that wait for the fold or for a read of the log: deadline and `after_seq` are the bot's own choice."""

Reply = Callable[[bytes], None]
"""Takes the answer's bytes; must not raise, the caller may be gone."""


class Caller:
    """One request and the one answer it gets. A `Waiter` of the pipeline."""

    __slots__ = ("_desk", "_reply", "_timer", "bot", "deadline", "door", "order")

    def __init__(self, desk: "Desk", order: Order, bot: str, door: str, deadline: float, reply: Reply) -> None:
        self.order, self.bot, self.door, self.deadline = order, bot, door, deadline
        self._desk = desk
        self._reply: Reply | None = reply
        self._timer = desk.loop.call_at(deadline, self.refuse, Reason.JOURNAL_UNAVAILABLE)

    @property
    def answered(self) -> bool:
        return self._reply is None

    def answer(self, body: bytes) -> None:
        """Answer, unless that has happened."""
        reply, self._reply = self._reply, None
        if reply is not None:
            self._timer.cancel()
            self._desk.waiting -= 1
            reply(body)

    def refuse(self, reason: Reason) -> None:
        """Answer with a no-decision."""
        if self._reply is not None:
            self.answer(no_decision(self.order, self.bot, self.door, reason, self._desk.now()))

    def stored(self, fact: Fact, seq: int, line: int) -> None:
        """The decision is in the log: release it."""
        reason = self._desk.core.release_reason(fact)
        if reason is None:
            self.answer(fact.line)
        elif isinstance(fact.event, OrderDecision):
            self.answer(voided(fact.event, reason))

    def refused(self, fact: Fact, reason: Reason) -> None:
        self.refuse(reason)


class Desk:
    """Answers the orders of one account. `leads`: whether the lease is held."""

    def __init__(
        self,
        core: Account,
        pipeline: Pipeline,
        log: Log,
        clock: Clock,
        admission: Admission,
        *,
        leads: Callable[[], bool],
    ) -> None:
        self.core, self.pipeline = core, pipeline
        self.loop = asyncio.get_running_loop()
        self.waiting = 0
        self.overloaded = 0
        self._log, self._clock, self._admission = log, clock, admission
        self._leads = leads
        self._joined: dict[str, list[Caller]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._later: dict[str, int] = {}
        pipeline.fold.listeners.append(self._on_folded)

    def now(self) -> datetime:
        """The account's time."""
        return self.core.now(self._clock())

    def ask(self, order: Order, *, bot: str, door: str, deadline_s: float, reply: Reply) -> None:
        """Answer an order through `reply`, within `deadline_s` seconds."""
        now_s = self.loop.time()
        self.waiting += 1
        caller = Caller(self, order, bot, door, now_s + deadline_s, reply)
        refusal = self.pipeline.refusal()
        if refusal is None and (self._crowded(bot) or not self._admission.admit(bot, now_s)):
            refusal = Reason.OVERLOADED
        if refusal is not None:
            self.overloaded += refusal is Reason.OVERLOADED
            caller.refuse(refusal)
        elif (order.after_seq is not None and order.after_seq > self.pipeline.fold.seq) or self.core.awaits_base:
            self._spawn(bot, self._ask_later(caller, order.after_seq or 0))
        else:
            self._judge(caller)

    def _judge(self, caller: Caller) -> None:
        order = caller.order
        now = self.core.request_time(order, self._clock())
        asked = Asked(order, caller.bot, caller.door, now, order.event_id, self.core.mark(order.symbol))
        try:
            judged = self.core.judge(asked)
        except NotReady:
            caller.refuse(Reason.JOURNAL_UNAVAILABLE)
            return
        match judged:
            case NewDecision():
                refusal = self.pipeline.put(write(judged), caller)
                if refusal is not None:
                    caller.refuse(refusal)
            case InFlight(key):
                self._join(key, caller)
            case Repeat():
                self._spawn(caller.bot, self._repeat(caller, asked, judged))

    async def _ask_later(self, caller: Caller, seq: int) -> None:
        """Read your writes: fold up to `seq` first, and the base of a day that has just begun. The caller's timer answers
        when that takes too long.
        """
        fold, clock = self.pipeline.fold, self.loop.time
        while fold.seq < seq or self.core.awaits_base:
            if not await fold.reach(max(seq, fold.seq + 1), caller.deadline - clock()):
                return
        if caller.answered:
            return
        refusal = self.pipeline.refusal()
        if refusal is not None:
            caller.refuse(refusal)
        else:
            self._judge(caller)

    async def _repeat(self, caller: Caller, asked: Asked, found: Repeat) -> None:
        """Fetch the stored decision; what the present says of it is asked again after the wait."""
        remaining = caller.deadline - self.loop.time()
        try:
            message = await self._log.get(found.seq, timeout_s=max(remaining, 0.001))
        except LogUnavailable:
            return
        if message is None or not self._leads():
            caller.refuse(Reason.JOURNAL_UNAVAILABLE)
            return
        decision = stored_decision(message.subject, message.body, found, Provenance("FLEET", message.seq, message.at))
        asked = replace(asked, now=self.core.request_time(asked.order, self._clock()))
        again = self.core.judge(asked)
        if decision is None or decision.order_id != asked.order.order_id or not isinstance(again, Repeat):
            caller.refuse(Reason.JOURNAL_UNAVAILABLE)
            return
        caller.answer(repeated(decision, again.reason))

    def _join(self, key: str, caller: Caller) -> None:
        if len(self._joined) > JOINED_MAX:
            self._joined = {key: callers for key, callers in self._joined.items() if not all(c.answered for c in callers)}
        self._joined.setdefault(key, []).append(caller)

    def _on_folded(self, entry: Entry) -> None:
        """Whoever asked for an order that was on its way gets the stored decision as a repeat."""
        if not self._joined or entry.event_id not in self._joined:
            return
        for caller in self._joined.pop(entry.event_id):
            if not caller.answered:
                self._judge(caller)

    def _crowded(self, bot: str) -> bool:
        """Too many wait, of all bots or of this one: none makes the others wait by asking for what takes long."""
        return self.waiting > WAITING_MAX or self._later.get(bot, 0) >= LATER_OF_A_BOT_MAX

    def _spawn(self, bot: str, work: Coroutine[None, None, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        self._later[bot] = self._later.get(bot, 0) + 1
        task.add_done_callback(partial(self._done, bot))

    def _done(self, bot: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._later[bot] -= 1
        if not self._later[bot]:
            del self._later[bot]


def stored_decision(subject: str, body: bytes, found: Repeat, stored: Provenance) -> OrderDecision | None:
    """The decision at one line of a message."""
    for line in parse(subject, body, stored).lines:
        if line.index == found.line and isinstance(line.event, OrderDecision):
            return line.event
    return None
