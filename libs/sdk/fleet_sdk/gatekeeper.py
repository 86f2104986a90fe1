"""Before every order: ask, judge the answer, answer by itself when there is none, and see that nothing is sent late."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from fleet_contracts import Decision, LocalVerdict, OrderDecision, OrderEvent, OrderRequest, OrderStatus
from fleet_sdk.core.answers import Decided, Invalid, read_answer
from fleet_sdk.core.local import LocalReason, Standing, local_answer
from fleet_sdk.core.orders import Orders, OrderState
from fleet_sdk.core.verdict import Verdict, denied, denied_locally, remaining_by_wall, send_by
from fleet_sdk.door import Door, Got, Missing
from fleet_sdk.errors import InvalidOrder, NoDecision, SpoolError
from fleet_sdk.id_journal import IdJournal
from fleet_sdk.voice import Voice, line_of

LOCAL_VALID_S = 5.0
"""How long an ALLOW of the SDK's own may be used."""
SETTLE_S = 5.0
"""An order that may have been decided unseen is reported NEVER_SENT a second time, when the bus has been there for so long:
behind whatever was on its way.
"""
_UNSETTLED_MAX = 10_000
NEVER_SENT = "NEVER_SENT"
_log = logging.getLogger(__name__)

OnLoop = Callable[[Callable[[], None]], None]
"""Runs something on the bot's event loop, whichever thread asks."""


class Gatekeeper:
    """The order side of a bot. `standing`: what is known now of a symbol; `latched`: whether a latch file stops it; `now`:
    monotonic.
    """

    def __init__(
        self,
        voice: Voice,
        door: Door,
        memory: IdJournal,
        now: Callable[[], float],
        *,
        standing: Callable[[str], Standing],
        latched: Callable[[str], bool],
        on_loop: OnLoop,
        stepped: bool,
    ) -> None:
        self._voice, self._door, self._memory, self._now = voice, door, memory, now
        self._standing, self._latched, self._on_loop, self._stepped = standing, latched, on_loop, stepped
        self._orders = Orders({order_id: OrderState(word) for order_id, word in memory.words.items()})
        self._unsettled: deque[tuple[float, OrderRequest]] = deque(maxlen=_UNSETTLED_MAX)
        self._unsaid: deque[OrderRequest] = deque(maxlen=_UNSETTLED_MAX)

    async def evaluate(self, order: OrderRequest, started: float, deadline: float) -> Verdict:
        """The verdict on an order, by `deadline` (monotonic). Raises `InvalidOrder`; in virtual time `NoDecision`."""
        if self._orders.given_up(order.order_id):
            return self._deny(order, LocalReason.GIVEN_UP, "given_up_deny")
        from_before = self._orders.was_allowed_before(order.order_id)
        asked_at = self._orders.asking(order.order_id, started)
        self._remember_asked(order)
        try:
            answer = await self._door.ask(order, line_of(order), started, deadline, partial(self._late, order))
        except asyncio.CancelledError:
            self._deny(order, LocalReason.CANCELLED, "cancelled_deny")
            self._give_up(order, may_be_decided=True)
            raise
        finally:
            self._orders.answered(order.order_id)
        match answer:
            case Invalid(detail):
                raise InvalidOrder(detail)
            case Missing():
                return self._answer_alone(order, answer)
            case Got(decided, first_try):
                if not decided.allows:
                    return denied(decided.decision)
                predates = decided.decision.duplicate and (from_before or (first_try and asked_at == started))
                return self._allowed(order, decided, self._void_at(decided, asked_at, predates))

    def sent(self, order_id: str) -> None:
        """The bot reports something of an order."""
        if self._orders.given_up(order_id):
            _log.error("order %s was given up on and is reported all the same", order_id)
        self._orders.reported(order_id)

    def never_sent(self, order: OrderRequest) -> int:
        """The bot has not sent an allowed order and will not. Raises `InvalidOrder` when it has reported something of it."""
        if not self._orders.never_sent(order.order_id):
            raise InvalidOrder(f"order {order.order_id} has been reported before: it was sent", "order_id")
        self._remember(order.order_id, OrderState.GIVEN_UP)
        return self._voice.say(self._never_sent(order), reserved=True)

    def report_again(self, order_id: str) -> bool:
        """The fleet asks what became of an order. The SDK answers for what it knows was not sent: what it gave up on, what was
        denied here, and what an earlier process asked about and got no ALLOW for. False: the bot has to tell.
        """
        if not self._orders.never_allowed(order_id):
            return False
        self._remember(order_id, OrderState.GIVEN_UP)
        event = self._voice.event("ORDER_EVENT", _rejected(order_id))
        self._voice.say(event, reserved=True)
        return True

    async def settle_all(self) -> None:
        """Report orders that may have been decided unseen a second time, for ever."""
        while True:
            await asyncio.sleep(SETTLE_S / 5)
            settled = self._door.connected_s >= SETTLE_S
            self.settle(self._now() if settled else float("-inf"))

    def settle(self, until: float) -> None:
        """Report those that are due by `until`, and what the spool had no room for."""
        for _ in range(len(self._unsaid)):
            self._report_never_sent(self._unsaid.popleft())
        while self._unsettled and self._unsettled[0][0] <= until:
            _, order = self._unsettled.popleft()
            if self._orders.settle(order.order_id):
                self._report_never_sent(order)

    def _void_at(self, decided: Decided, asked_at: float, predates: bool) -> float:
        if predates:
            return self._now() + remaining_by_wall(decided.decision, self._voice.now())
        return send_by(asked_at, decided.valid_s)

    def _allowed(self, order: OrderRequest, decided: Decided, void_at: float) -> Verdict:
        decision = decided.decision
        if not self._orders.allow(order.order_id):
            self._report_never_sent(order, decision)
            return self._deny(order, LocalReason.GIVEN_UP, "given_up_deny")
        if decided.opens and self._latched(order.symbol):
            verdict = self._deny(order, LocalReason.HALTED, "latch_deny")
            self._void(order, decision)
            return verdict
        if not self._remember(order.order_id, OrderState.ALLOWED) and not order.reduce_only:
            verdict = self._deny(order, LocalReason.NOT_RECORDED, "not_recorded_deny")
            self._void(order, decision)
            return verdict
        return self._verdict(order, decision, decided.allowed_qty, void_at, opens=decided.opens)

    def _verdict(
        self, order: OrderRequest, record: OrderDecision | LocalVerdict, qty: Decimal, void_at: float, *, opens: bool
    ) -> Verdict:
        return Verdict(
            allowed=True,
            reason=record.reason,
            message="",
            allowed_qty=qty,
            decision=record,
            send_by=void_at,
            local=isinstance(record, LocalVerdict),
            _now=self._now,
            _stopped=lambda: opens and self._latched(order.symbol),
            _on_claim=lambda: self._on_loop(partial(self._orders.claim, order.order_id)),
            _on_void=lambda: self._on_loop(partial(self._void, order, record)),
        )

    def _answer_alone(self, order: OrderRequest, missing: Missing) -> Verdict:
        if self._stepped:
            raise NoDecision(f"no decision on {order.order_id}: {missing.reason}")
        standing = self._standing(order.symbol)
        local = local_answer(standing, reduce_only=order.reduce_only, reason=missing.reason)
        if local.decision is Decision.DENY:
            return self._deny_and_give_up(order, missing, local.reason, local.policy)
        record = self._record(order, local.decision, local.reason, local.policy)
        try:
            self._voice.say(record)
        except SpoolError as error:
            _log.error("an ALLOW that cannot be recorded is a DENY: %s", error)
            return self._deny_and_give_up(order, missing, LocalReason.NOT_RECORDED, local.policy)
        if not self._orders.allow(order.order_id):
            return self._deny(order, LocalReason.GIVEN_UP, "given_up_deny")
        if not self._remember(order.order_id, OrderState.ALLOWED) and not order.reduce_only:
            verdict = self._deny(order, LocalReason.NOT_RECORDED, local.policy)
            self._void(order, record)
            return verdict
        return self._verdict(order, record, order.qty, self._now() + LOCAL_VALID_S, opens=not order.reduce_only)

    def _deny_and_give_up(self, order: OrderRequest, missing: Missing, reason: str, policy: str) -> Verdict:
        verdict = self._deny(order, reason, policy)
        self._give_up(order, may_be_decided=missing.may_be_decided)
        return verdict

    def _deny(self, order: OrderRequest, reason: str, policy: str) -> Verdict:
        record = self._record(order, Decision.DENY, reason, policy)
        try:
            self._voice.say(record, reserved=True)
        except SpoolError as error:
            _log.error("a local DENY is not recorded: %s", error)
        return denied_locally(record, f"answered by the SDK itself ({policy}): {reason}")

    def _record(self, order: OrderRequest, decision: Decision, reason: str, policy: str) -> LocalVerdict:
        fields: dict[str, Any] = {**order.__dict__, **(order.model_extra or {})}
        for name in ("event_type", "event_id", "ts", "deadline_ms", "after_seq"):
            fields.pop(name, None)
        fields |= {"decision": decision, "reason": str(reason), "policy": policy, "cause": order.event_id}
        event = self._voice.event("LOCAL_VERDICT", fields)
        assert isinstance(event, LocalVerdict)
        return event

    def _give_up(self, order: OrderRequest, *, may_be_decided: bool) -> None:
        """No usable answer, and none will be used: say so, unless the order was allowed at another time."""
        if not self._orders.give_up(order.order_id):
            return
        self._remember(order.order_id, OrderState.GIVEN_UP)
        self._report_never_sent(order)
        if may_be_decided:
            self._unsettled.append((self._now() + SETTLE_S, order))

    def _void(self, order: OrderRequest, record: OrderDecision | LocalVerdict) -> None:
        """An ALLOW that is not used."""
        if self._orders.expire(order.order_id):
            self._remember(order.order_id, OrderState.GIVEN_UP)
            self._report_never_sent(order, record)

    def _late(self, order: OrderRequest, body: bytes) -> None:
        """An answer after the deadline. An ALLOW holds limits until it hears that nothing was sent."""
        answer = read_answer(body, order)
        if not isinstance(answer, Decided) or not answer.allows or not self._orders.given_up(order.order_id):
            return
        if self._orders.settle(order.order_id):
            self._report_never_sent(order, answer.decision)

    def _report_never_sent(self, order: OrderRequest, record: OrderDecision | LocalVerdict | None = None) -> None:
        try:
            self._voice.say(self._never_sent(order, record), reserved=True)
        except SpoolError as error:
            _log.error("NEVER_SENT of %s is not recorded yet: %s", order.order_id, error)
            self._unsaid.append(order)

    def _never_sent(self, order: OrderRequest, record: OrderDecision | LocalVerdict | None = None) -> OrderEvent:
        fields = _rejected(order.order_id) | {"symbol": order.symbol, "side": order.side}
        fields["cause"] = record.event_id if record is not None else order.event_id
        event = self._voice.event("ORDER_EVENT", fields)
        assert isinstance(event, OrderEvent)
        return event

    def _remember_asked(self, order: OrderRequest) -> None:
        """Before it is asked: a process that dies with a question on its way leaves word that nobody was told to send it. So
        an ALLOW must be written down too before it is used; of reductions, which may be used without, no such word is left.
        """
        if not order.reduce_only and order.order_id not in self._memory.words:
            self._remember(order.order_id, OrderState.ASKED)

    def _remember(self, order_id: str, state: OrderState) -> bool:
        """Write down what became of an order. False when that fails."""
        try:
            self._memory.write(order_id, state)
        except OSError as error:
            _log.error("what became of %s is not written down: %s", order_id, error)
            return False
        return True


def _rejected(order_id: str) -> dict[str, Any]:
    return {"order_id": order_id, "status": OrderStatus.REJECTED, "filled_qty": 0, "leaves_qty": 0, "detail": NEVER_SENT}
