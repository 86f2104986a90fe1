"""The fold: one stored line into the state. It uses only numbers written in facts and never judges anew."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from fleet_contracts import (
    AccountClock,
    AckState,
    Anomaly,
    BotAck,
    BotCommand,
    Decision,
    Entry,
    Equity,
    Event,
    Fact,
    Leader,
    LocalVerdict,
    OperatorCommand,
    OrderDecision,
    OrderEvent,
    OrderRequest,
    Reason,
    RiskLimits,
    RiskState,
)
from risk_gateway.core.alarms import fold_alarm
from risk_gateway.core.asking import fold_answer, fold_question
from risk_gateway.core.decision import NewDecision
from risk_gateway.core.drift import fold_positions
from risk_gateway.core.halt_fold import fold_risk_state, hear, reported, tell
from risk_gateway.core.halts import doubted, passed
from risk_gateway.core.kill import Seen
from risk_gateway.core.memory import Memo, id_hash
from risk_gateway.core.orders import LiveOrder, order_of
from risk_gateway.core.overlay import Overlay, Pending
from risk_gateway.core.questions import fold_order_request
from risk_gateway.core.reconciling import fold_reconciliation
from risk_gateway.core.reservations import catch_up, fold_local_verdict, fold_order_event, hold, release
from risk_gateway.core.rules import rules_of
from risk_gateway.core.state import (
    SERVICE,
    OpenCommand,
    OrderKey,
    Raising,
    State,
    key_of,
)
from risk_gateway.core.terms import Scope
from risk_gateway.core.throttles import Disabled
from risk_gateway.core.throttling import disables, fold_allowed, fold_report, land

RAISING = frozenset({"resume", "limits", "enable", "reconcile"})
"""Operator commands that raise risk: stored first, answered FAILED at the next take-over when nothing followed."""


def fold_line(state: State, entry: Entry, overlay: Overlay, account: str) -> bool:
    """Fold one line. An order that the overlay already holds is taken over, not counted twice. True when the line has only
    moved orders and positions: halts, limits and equity stand as they stood.

    The gateway's own facts count only under this account's fence: signed by a leader, in this account's subjects.
    """
    if state.time is None or entry.at > state.time:
        state.time = entry.at
    told = entry.what.told if isinstance(entry.what, Fact) else None
    if isinstance(told, NewDecision):
        _advance_virtual_time(state, told.asked.now)
        _own_decision(state, told, entry, overlay)
        return True
    event = entry.event
    if event.ts is not None and (entry.leader is None or isinstance(event, OrderDecision)):
        _advance_virtual_time(state, event.ts)
    if not _counts(entry, account):
        return True
    if isinstance(event, OrderDecision):
        _decision(state, event, entry, overlay)
        return True
    handler = _HANDLERS.get(type(event))
    if handler is not None:
        handler(state, event, entry)
    return isinstance(event, OrderEvent)


def _counts(entry: Entry, account: str) -> bool:
    """Whether it may say that: the gateway under this account's fence, anybody else all but what is the gateway's own."""
    if entry.address.source == SERVICE:
        return entry.leader is not None and entry.address.account == account
    return not isinstance(entry.event, _OWN)


def moment(state: State) -> datetime:
    """The account's time inside the fold: the stream's, or the newest bot `ts` under a virtual clock."""
    if state.rules is not None and state.rules.clock is AccountClock.EVENT and state.virtual is not None:
        return state.virtual
    assert state.time is not None
    return state.time


def _advance_virtual_time(state: State, ts: datetime) -> None:
    """Bot events and requests carry virtual time; a decision carries its request's."""
    if state.virtual is None or ts > state.virtual:
        state.virtual = ts


def _own_decision(state: State, told: NewDecision, entry: Entry, overlay: Overlay) -> None:
    """Fold a decision of which this process knows what it has written."""
    order = told.reservation if told.refusal is None else None
    decided = _Decided(told.key, told.asked.content, told.id_hash, told.reason, told.replaced_filled, order)
    if told.refusal is not None and told.disables is not None:
        _disable(state, told.disables, told.key, told.asked.now, told.refusal.message)
    _fold(state, decided, entry, overlay)


def _decision(state: State, event: OrderDecision, entry: Entry, overlay: Overlay) -> None:
    """Fold a decision that was read."""
    key, order = key_of(event), partial(order_of, event) if event.decision is Decision.ALLOW else None
    content = event.content_hash or "0"
    who = disables(event)
    if who is not None and event.ts is not None:
        _disable(state, who, key, event.ts, event.message or "")
    _fold(state, _Decided(key, content, id_hash(*key), event.reason, event.replaced_filled, order), entry, overlay)


def _disable(state: State, who: Scope, key: OrderKey, at: datetime, message: str) -> None:
    """TH-2: the decision that says so is the event that does it."""
    bot, order_id = key
    state.throttles.disable(who, bot, Disabled(at, message[:200], order_id))


@dataclass(slots=True)
class _Decided:
    """What the fold needs of a decision; `order` makes the reservation of an ALLOW."""

    key: OrderKey
    content: str
    id_hash: int
    reason: str
    replaced_filled: Decimal | None
    order: Callable[[], LiveOrder] | None


def _fold(state: State, decided: _Decided, entry: Entry, overlay: Overlay) -> None:
    held = overlay.take(entry.event_id or "")
    if held is not None and (held.windows or held.disables is not None):
        land(state, held)
    key, content = decided.key, int(decided.content[:16], 16)
    if state.questions:
        state.questions.pop((*key, decided.content), None)
    if decided.reason == Reason.IDEMPOTENCY_CONFLICT:
        _remember(state, decided.reason, id_hash(*key, decided.content), content, entry)
        return
    _remember(state, decided.reason, decided.id_hash, content, entry)
    order = _ours(held, entry)
    if order is None:
        _give_back(state, held)
    if decided.order is not None:
        if order is None:
            order = decided.order()
            catch_up(state, order, decided.replaced_filled)
            hold(state, order)
        order.seq, order.line = entry.seq, entry.line
        state.orders[key] = order
        if state.rules is not None and state.rules.throttled:
            fold_allowed(state, state.rules, order)


def _remember(state: State, reason: str, key: int, content: int, entry: Entry) -> None:
    """Count a decision, remember where it stands, and forget what is too old."""
    state.decided[reason] = state.decided.get(reason, 0) + 1
    at = moment(state).timestamp()
    state.memory.remember(key, Memo(content, entry.seq, entry.line), at)
    if state.rules is not None:
        before = at - state.rules.memory_s
        state.memory.forget(before, at, lambda: {id_hash(*key) for key in state.orders})
        state.fills.forget(before)


def _ours(held: Pending | None, entry: Entry) -> LiveOrder | None:
    """The order the overlay holds for this very line. Two leaders may have decided one order: the stored line counts.

    One that replaces another is counted anew: what the older order did before this line is no business of its successor's,
    and was not known, or known too early, when the overlay counted it.
    """
    if held is None or held.order is None or held.order.replaces or held.fact.line != entry.raw:
        return None
    return held.order


def _give_back(state: State, held: Pending | None) -> None:
    """What the overlay held for a line that is not the stored one."""
    if held is not None and held.order is not None:
        release(state, held.order)


def _order_event(state: State, event: OrderEvent, entry: Entry) -> None:
    at = moment(state)
    order = state.orders.get((entry.address.source, event.order_id))
    if order is not None:
        fold_report(state, event, order, at)
    fold_order_event(state, event, entry, at)


def _equity(state: State, event: Equity, entry: Entry) -> None:
    rules = state.rules
    if rules is None or entry.address.source != rules.equity_source:
        return
    assert event.ts is not None
    observed_at = event.ts if rules.clock is AccountClock.EVENT else min(event.ts, entry.at)
    newest = state.equity.observed_at
    if newest is not None and observed_at < newest:
        return
    state.equity.observe(event, observed_at, rules)
    fold_positions(state, event, observed_at, moment(state))
    day = rules.day_of(observed_at)
    for cause in doubted(state, passed(state.equity, rules, day), rules):
        state.breaches[cause] = [state.equity.event, day]
    for position in event.positions or ():
        if position.mark_price:
            state.exposure.reprice(position.symbol, position.mark_price)


def _risk_limits(state: State, event: RiskLimits, entry: Entry) -> None:
    state.limits, state.rules = event, rules_of(event)
    state.exposure.rescale({name: rules.contract_size for name, rules in state.rules.risk.symbols.items()})
    state.raising.pop(str(event.cause), None)
    state.throttles.keep(state.rules.rated, state.rules.repeats)
    for kind, name in (event.model_extra or {}).get("enabled") or ():
        state.throttles.enable((kind, name))


def _risk_state(state: State, event: RiskState, entry: Entry) -> None:
    fold_risk_state(state, event, moment(state))
    fold_reconciliation(state, (event.model_extra or {}).get("reconciled"), moment(state))


def _leader(state: State, event: Leader, entry: Entry) -> None:
    if entry.address.source == SERVICE and entry.leader is not None:
        state.leader = entry.leader


def _operator_command(state: State, event: OperatorCommand, entry: Entry) -> None:
    if entry.leader is not None and event.command in RAISING:
        state.raising[str(event.event_id)] = Raising(str(event.event_id), event.command, entry.leader)


def _bot_command(state: State, event: BotCommand, entry: Entry) -> None:
    now = moment(state)
    for command_id, known in list(state.commands.items()):
        if known.command.deadline is not None and known.command.deadline < now:
            del state.commands[command_id]
    state.commands[event.command_id] = OpenCommand(event)
    fold_question(state, event)
    if entry.address.source == SERVICE:
        tell(state, event, now)


def _bot_ack(state: State, event: BotAck, entry: Entry) -> None:
    hear(state, event, entry.address.source, Seen(moment(state), str(event.event_id)))
    known = state.commands.get(event.command_id)
    if known is not None and event.state in (AckState.DONE, AckState.FAILED):
        known.finished.add(entry.address.source)
        fold_answer(state, known.command, event, entry.address.source)


def _anomaly(state: State, event: Anomaly, entry: Entry) -> None:
    if entry.address.source == SERVICE:
        reported(state, event)
        fold_alarm(state, event)


_OWN = (OrderDecision, RiskState, RiskLimits, OperatorCommand)
"""Nobody else's word on these counts, whatever the broker lets through."""
_HANDLERS: dict[type[Event], Callable[[State, Any, Entry], None]] = {
    OrderEvent: _order_event,
    Equity: _equity,
    RiskLimits: _risk_limits,
    RiskState: _risk_state,
    Leader: _leader,
    OperatorCommand: _operator_command,
    BotCommand: _bot_command,
    BotAck: _bot_ack,
    Anomaly: _anomaly,
    OrderRequest: fold_order_request,
    LocalVerdict: fold_local_verdict,
}
