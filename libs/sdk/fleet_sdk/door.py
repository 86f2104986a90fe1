"""The synchronous order door: one question, asked until there is a decision or the deadline has come."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fleet_contracts import OrderRequest, Reason
from fleet_contracts.subjects import evaluate_subject
from fleet_sdk.bus import Bus, Reply, Silence
from fleet_sdk.core.answers import Decided, Invalid, Undecided, read_answer
from fleet_sdk.core.asking import Asking, Due

LATE_S = 60.0
"""For so long a late answer is still listened for."""


@dataclass(frozen=True, slots=True)
class Missing:
    """No decision by the deadline. `may_be_decided`: the gateway may have decided it all the same, or may still."""

    reason: str
    may_be_decided: bool


@dataclass(frozen=True, slots=True)
class Got:
    """A decision. `first_try`: it is the answer to the only time the order was asked about now."""

    decided: Decided
    first_try: bool


class _Mail:
    """Replies with their time of arrival. After `close`, what still arrives is late."""

    def __init__(self, now: Callable[[], float], late: Callable[[bytes], None]) -> None:
        self._now, self._late = now, late
        self._queue: asyncio.Queue[tuple[float, Reply]] | None = asyncio.Queue()

    def heard(self, body: Reply) -> None:
        if self._queue is not None:
            self._queue.put_nowait((self._now(), body))
        elif isinstance(body, bytes):
            self._late(body)

    async def next(self, timeout_s: float) -> tuple[float, Reply] | None:
        assert self._queue is not None
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None

    def close(self) -> None:
        queue, self._queue = self._queue, None
        while queue is not None and not queue.empty():
            self.heard(queue.get_nowait()[1])


class Door:
    """The order door of one bot on one account. `now`: monotonic seconds."""

    def __init__(self, bus: Bus, account: str, bot: str, now: Callable[[], float]) -> None:
        self._bus, self._now = bus, now
        self._subject = evaluate_subject(account, bot)
        self.unreadable = 0

    @property
    def connected_s(self) -> float:
        """For how long the bus has been there without a break; 0 when it is away."""
        return self._bus.connected_s

    async def ask(
        self, order: OrderRequest, body: bytes, started: float, deadline: float, late: Callable[[bytes], None]
    ) -> Got | Invalid | Missing:
        """Ask until `deadline` (monotonic). `late` gets what arrives after it."""
        asking = Asking(started, deadline)
        mail = _Mail(self._now, late)
        tokens: list[str] = []
        listen_on = True
        try:
            answer = await self._converse(order, body, asking, mail, tokens)
            listen_on = isinstance(answer, Missing)
            return answer
        finally:
            mail.close()
            asyncio.get_running_loop().call_later(LATE_S if listen_on else 0, self._forget, tokens)

    async def _converse(
        self, order: OrderRequest, body: bytes, asking: Asking, mail: _Mail, tokens: list[str]
    ) -> Got | Invalid | Missing:
        while True:
            now = self._now()
            match asking.due(now):
                case Due.GIVE_UP:
                    return Missing(asking.reason, asking.open_sends > 0)
                case Due.SEND:
                    token = await self._bus.send(self._subject, body, mail.heard)
                    if token is None:
                        asking.not_sent(now)
                    else:
                        tokens.append(token)
                        asking.sent(now)
                case Due.WAIT:
                    reply = await mail.next(asking.wake_at(now) - now)
                    answer = self._weigh(order, asking, reply)
                    if answer is not None:
                        return answer

    def _weigh(self, order: OrderRequest, asking: Asking, reply: tuple[float, Reply] | None) -> Got | Invalid | None:
        """What a reply is worth; None: go on asking. A reply seen after the deadline is none."""
        if reply is None:
            return None
        at, body = reply
        if body is Silence.LOST:
            asking.connection_lost(at)
            return None
        answer = Undecided(Reason.NO_LEADER) if isinstance(body, Silence) else read_answer(body, order)
        match answer:
            case Undecided(reason):
                asking.heard_no_decision(at, reason)
            case Decided():
                if at < asking.deadline:
                    return Got(answer, asking.sends == 1)
            case Invalid():
                return answer
            case _:
                self.unreadable += 1
        return None

    def _forget(self, tokens: list[str]) -> None:
        for token in tokens:
            self._bus.forget(token)
