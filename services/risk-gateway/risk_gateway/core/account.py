"""One account's core, as the pipeline and the doors see it: fold, overlay, latches, and the questions asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import localcontext
from typing import Any

from fleet_contracts import (
    AccountClock,
    BotCommand,
    Decision,
    Entry,
    Fact,
    Halt,
    Mark,
    OrderDecision,
    Reason,
    TradingState,
)
from fleet_contracts.money import MONEY, exactly
from risk_gateway.core import owed, snapshot
from risk_gateway.core.decision import Asked, NewDecision
from risk_gateway.core.drift import drifts
from risk_gateway.core.evolve import fold_line, moment
from risk_gateway.core.halts import in_force, reason_for, trading_state, trips
from risk_gateway.core.judge import InFlight, Judged, Repeat, decide, judge, request_time
from risk_gateway.core.memory import id_hash
from risk_gateway.core.orders import order_of
from risk_gateway.core.overlay import Overlay, Pending
from risk_gateway.core.questions import next_question
from risk_gateway.core.reservations import hold, release
from risk_gateway.core.rules import Setup
from risk_gateway.core.standing import Standing, standing_of
from risk_gateway.core.state import State, key_of
from risk_gateway.core.terms import Scope
from risk_gateway.core.throttling import disables, land, take_off
from risk_gateway.core.upkeep import Upkeep

__all__ = ["Account", "Asked", "InFlight", "Judged", "NewDecision", "NotReady", "Repeat"]


class NotReady(Exception):
    """No RISK_LIMITS fact is folded yet: nothing can be judged."""


class Account:
    """The core of one account. Not thread-safe; one owner."""

    def __init__(self, account: str, setup: Setup, state: State | None = None) -> None:
        self.account = account
        self.setup = setup
        self.state = state or State()
        self.latches: dict[str, Halt] = {}
        self.mark: Callable[[str], Mark | None] = lambda _: None
        """A symbol's fresh MARK, an input of decisions."""
        self.beat_age_s: Callable[[str], float | None] = lambda _: None
        """How many seconds ago the newest heartbeat of a bot arrived, an input of decisions; None: none has."""
        self.shut: Callable[[str], Reason | None] | None = None
        """Why a bot may not open now by the configuration, an input of decisions; None: no bot is ever kept from it."""
        self.admit: Callable[[str], bool] = lambda _: True
        """Whether one more question of a bot at the event door is taken up now; later, when not."""
        self.shadowed = False
        """A candidate set of limits judges too, and may ask for inputs that the live one does not."""
        self.stirred = True
        """Something has happened that may have made a fact due."""
        self._answered = ""
        self._overlay = Overlay()
        self._upkeep = Upkeep()
        self._stands: Standing | None = None
        """How the account stands, until something moves it."""

    # The fold and its overlay: what the pipeline calls.

    def now(self, wall: datetime) -> datetime:
        """max(clock, last folded time); under a virtual clock the newest bot `ts`."""
        state = self.state
        if self.setup.clock is AccountClock.EVENT:
            return state.virtual or wall
        return max(wall, state.time) if state.time else wall

    @exactly
    def evolve(self, entry: Entry) -> None:
        """Fold one stored line."""
        if not fold_line(self.state, entry, self._overlay, self.account):
            self._stands = None
        if not isinstance(entry.what, Fact) or entry.what.event_type != "ORDER_DECISION" or self.state.questions:
            self.stirred = True  # an own decision owes nothing, but makes room for the next question

    def owed(self, now: datetime) -> list[Fact]:
        """Facts due now and not on their way; one answer to an ORDER_REQUEST event at a time."""
        facts = self._owed(now)
        self.stirred = bool(facts)
        return facts

    def _owed(self, now: datetime) -> list[Fact]:
        state = self.state
        with localcontext(MONEY):
            if state.rules is None:
                fact = owed.first_limits(self.account, self.setup, now)
                return [] if fact.key in self._overlay else [fact]
            due = self._upkeep.due(state, self.account, self.setup.bots, now)
            facts = [fact for fact in due if fact.key not in self._overlay]
            if not self.state_on_its_way:
                change = owed.due_state(state, self.latches, self.account, now)
                if change is not None:
                    facts.append(change)
            return facts if self.awaits_base else facts + self._answers(now)

    @exactly
    def hold(self, fact: Fact) -> None:
        """A fact enters the overlay; an ALLOW counts in the sums from here on."""
        pending = Pending(fact)
        told = fact.told
        if isinstance(told, NewDecision):
            pending.key = told.key
            pending.order = told.reservation() if told.refusal is None else None
            pending.disables = told.disables
        elif isinstance(fact.event, OrderDecision):
            pending.key = key_of(fact.event)
            pending.order = order_of(fact.event) if fact.event.decision is Decision.ALLOW else None
            pending.disables = disables(fact.event)
        if pending.order is not None:
            hold(self.state, pending.order)
        rules = self.state.rules
        if (rules is not None and rules.throttled) or pending.disables is not None:
            take_off(self.state, pending)
        self._overlay.add(pending)

    @exactly
    def drop(self, fact: Fact) -> None:
        """A fact leaves the overlay. Folded ones have left already; what an unstored one held is given back."""
        pending = self._overlay.take(fact.key)
        if pending is None:
            return
        self.stirred = True
        if pending.windows or pending.disables is not None:
            land(self.state, pending)
        if pending.order is not None:
            release(self.state, pending.order)

    def dump(self) -> snapshot.Dump:
        """The folded state in canonical bytes."""
        return snapshot.dump(self.state)

    @classmethod
    def load(cls, account: str, setup: Setup, parts: Any) -> Account:
        """An account out of a snapshot. Raises ValueError when it cannot be read."""
        with localcontext(MONEY):
            return cls(account, setup, snapshot.load(parts))

    # Orders: what the doors call.

    @exactly
    def judge(self, asked: Asked) -> Judged:
        """The answer to an order. Raises `NotReady` before the first RISK_LIMITS."""
        standing = self._standing()
        self._look(asked, standing)
        return judge(self.state, self._overlay, asked, standing)

    def _look(self, asked: Asked, standing: Standing) -> None:
        """Inputs that only some limits ask for."""
        if self.shadowed or standing.limits.stale_heartbeat_s is not None:
            asked.beat_age_s = self.beat_age_s(asked.bot)
        if self.shut is not None:
            asked.shut = self.shut(asked.bot)

    def release_reason(self, fact: Fact) -> Reason | None:
        """Why a stored ALLOW may not be released as one: a halt has taken effect since. None for all else."""
        told = fact.told
        if isinstance(told, NewDecision):
            bot, symbol, opens = told.asked.bot, told.order.symbol, told.refusal is None and told.opening > 0
        else:
            event = fact.event
            if not isinstance(event, OrderDecision):
                return None
            bot, symbol, opens = event.bot, event.symbol, event.decision is Decision.ALLOW and bool(event.opening_qty)
        return reason_for(self.halts, bot, symbol) if opens else None

    def request_time(self, asked_order: Any, wall: datetime) -> datetime:
        """When a request at a synchronous door is judged."""
        return request_time(self.state, asked_order, self.now(wall))

    @property
    def awaits_base(self) -> bool:
        """A day has begun in the fold, and the RISK_STATE with its base is still on its way."""
        return self.state.equity.next_base is not None

    @property
    def open_orders(self) -> int:
        """Live orders, those on their way included."""
        return len(self.state.orders) + self._overlay.orders

    # Halts, limits, commands: what operators cause.

    @property
    def halts(self) -> list[Halt]:
        """Everything in force, oldest first; a limit that was passed counts before its halt is recorded."""
        halts = in_force(self.state, self.latches)
        if not self.state.breaches or self.state.time is None:
            return halts
        due = [trip.halt for trip in trips(self.state, self.account, moment(self.state))]
        return sorted([*halts, *due], key=lambda halt: (halt.since, halt.halt_id))

    @property
    def trading_state(self) -> TradingState:
        """ACTIVE, REDUCING or HALTED, as a decision would see it now."""
        with localcontext(MONEY):
            return trading_state(self.halts, self.state.equity, self.state.rules)

    def latch(self, halt: Halt) -> None:
        """A halt takes effect at once; `owed` records it."""
        self.latches[halt.halt_id] = halt
        self._stands, self.stirred = None, True

    def unlatch(self, halt_id: str) -> None:
        """Its latch file is gone."""
        self.latches.pop(halt_id, None)
        self._stands, self.stirred = None, True

    def command(
        self, command: str, now: datetime, *, by: str, role: str, reason: str, key: str, target: Mapping[str, Any]
    ) -> Fact:
        """OPERATOR_COMMAND: what a human asked. `key` makes it one command however often it is sent."""
        return owed.command_fact(self.account, command, now, by=by, role=role, reason=reason, key=key, target=target)

    @property
    def state_on_its_way(self) -> bool:
        """A RISK_STATE is decided and not yet folded: the next one would not know it."""
        return self._overlay.states > 0

    def resume_fact(self, halt_ids: set[str], cause: str, now: datetime, *, rebase: bool = False) -> Fact:
        """RISK_STATE without these halts, in answer to the command `cause`. Call it while no RISK_STATE is on its way.

        `lifted` names them all, so that a latch which the log has not met yet is lifted too. `rebase`: the drawdown counts
        from the present equity; else the high-water mark stays (DD-3).
        """
        with localcontext(MONEY):
            return owed.resume_fact(self.state, self.account, self.halts, halt_ids, cause, now, rebase=rebase)

    def limits_fact(self, setup: Setup, cause: str, now: datetime, *, by: str, reason: str) -> Fact:
        """RISK_LIMITS with the next revision, in answer to the command `cause`."""
        revision = self.state.rules.revision + 1 if self.state.rules else 1
        return owed.limits_fact(self.account, setup, revision, now, by=by, reason=reason, cause=cause)

    def enabling_fact(self, who: Sequence[Scope], cause: str, now: datetime, *, by: str, reason: str) -> Fact:
        """The limits in force once more, as the next revision that enables somebody (TH-2), in answer to the command `cause`.

        Raises `NotReady` before the first RISK_LIMITS.
        """
        if self.state.limits is None:
            raise NotReady(self.account)
        return owed.enabling_fact(self.account, self.state.limits, who, now, by=by, reason=reason, cause=cause)

    def open_commands(self, bot: str, now: datetime) -> list[BotCommand]:
        """Commands this bot has not finished with and may still do."""
        return [
            known.command
            for known in self.state.commands.values()
            if known.command.bot in ("*", bot)
            and bot not in known.finished
            and (known.command.deadline is None or known.command.deadline >= now)
        ]

    def _standing(self) -> Standing:
        """Kept until a fact or a latch may have changed it; while a breach waits for its halt, time alone may."""
        if self._stands is not None:
            return self._stands
        state = self.state
        if state.rules is None:
            raise NotReady(self.account)
        standing = standing_of(state.rules, state.equity, self.halts, drifts(state))
        self._stands = None if state.breaches else standing
        return standing

    def _answers(self, now: datetime) -> list[Fact]:
        """The decision for one ORDER_REQUEST event nobody has answered; the next is judged when this one is held."""
        if not self.state.questions:
            return []
        standing = self._standing()
        oldest = now - standing.rules.ttl
        key = next_question(self.state, self._overlay, self._answered, oldest, self.admit)
        if key is None:
            return []
        bot, _, content = key
        question = self.state.questions[key]
        request, expired = question.request, question.at < oldest
        asked = Asked(request, bot, "event", now, request.event_id, self.mark(request.symbol), expired, content)
        order_hash = id_hash(*asked.key)
        conflict = bool(self._overlay.of(asked.key)) or self.state.memory.find(order_hash) is not None
        self._answered = bot
        self._look(asked, standing)
        return [decide(self.state, self._overlay, asked, standing, asked.key, order_hash, conflict=conflict).fact]
