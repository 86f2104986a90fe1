"""What the throttles learn: from decisions on their way, from folded ones, from what venues answer; and their snapshot."""

from collections import deque
from datetime import datetime
from typing import Any

from fleet_contracts import OrderDecision, OrderEvent, OrderStatus
from risk_gateway.core.decision import REPEATED_ORDER, NewDecision
from risk_gateway.core.orders import LiveOrder
from risk_gateway.core.overlay import Pending
from risk_gateway.core.rules import Rules
from risk_gateway.core.state import State
from risk_gateway.core.terms import Scope
from risk_gateway.core.throttles import Disabled, Sameness, Throttles, who_sends, windows_of


def disables(decision: OrderDecision) -> Scope | None:
    """Whom a decision disables (TH-2). One that only met somebody disabled disables nobody anew: a person may enable them
    while it is on its way.
    """
    return who_sends(decision.bot, decision.strategy) if decision.check == REPEATED_ORDER else None


def take_off(state: State, pending: Pending) -> None:
    """A decision is on its way: it counts from here on."""
    order, rules = pending.order, state.rules
    if order is not None and rules is not None and rules.throttled:
        told = pending.fact.told
        windows = told.windows if isinstance(told, NewDecision) else None
        if windows is None:
            windows = windows_of(order, rules.terms(order.bot, order.strategy, order.symbol))
        pending.windows = windows
        state.throttles.fly(windows, order.since)
    if pending.disables is not None:
        state.throttles.trip(pending.disables, 1)


def land(state: State, pending: Pending) -> None:
    """It is no longer on its way."""
    if pending.windows and pending.order is not None:
        state.throttles.land(pending.windows, pending.order.since)
    if pending.disables is not None:
        state.throttles.trip(pending.disables, -1)


def fold_allowed(state: State, rules: Rules, order: LiveOrder) -> None:
    """An ALLOW is folded, under limits that count over time."""
    state.throttles.note(order, rules.terms(order.bot, order.strategy, order.symbol))


def fold_report(state: State, event: OrderEvent, order: LiveOrder, at: datetime) -> None:
    """A bot reports what became of a live order: cancels count as messages, rejects in a row disable."""
    rules = state.rules
    if rules is None or not rules.throttled or order.closing:
        return
    terms = rules.terms(order.bot, order.strategy, order.symbol)
    if event.status is OrderStatus.CANCELLED:
        state.throttles.cancelled(terms, at)
    rejected = (event.detail or "") if event.status is OrderStatus.REJECTED else None
    state.throttles.answered(order, terms, rejected, at)


def dump_throttles(throttles: Throttles) -> dict[str, Any]:
    """The folded part, as JSON."""
    return {
        "rates": [[*scope, _times(times)] for scope, times in throttles.rates.items()],
        "same": [[*_flat(kind), _times(times)] for kind, times in throttles.same.items()],
        "rejects": [[*_flat(kind), detail, count] for kind, (detail, count) in throttles.rejects.items()],
        "disabled": [[*who, why.since.isoformat(), why.cause, why.order_id] for who, why in throttles.disabled.items()],
    }


def load_throttles(rows: dict[str, Any]) -> Throttles:
    """The folded part out of `dump_throttles`."""
    return Throttles(
        rates={(kind, name): _window(times) for kind, name, times in rows["rates"]},
        same={_kind(row[:6]): _window(row[6]) for row in rows["same"]},
        rejects={_kind(row[:6]): (row[6], row[7]) for row in rows["rejects"]},
        disabled={(row[0], row[1]): Disabled(datetime.fromisoformat(row[2]), row[3], row[4]) for row in rows["disabled"]},
    )


def _flat(kind: Sameness) -> list[str]:
    return [kind.sent_by, *kind.who, kind.symbol, kind.side, kind.lots]


def _kind(row: list[str]) -> Sameness:
    sent_by, kind, name, symbol, side, lots = row
    return Sameness(sent_by, (kind, name), symbol, side, lots)


def _times(times: deque[datetime]) -> list[Any]:
    """How many are remembered at most, then when they came."""
    return [times.maxlen, *(at.isoformat() for at in times)]


def _window(row: list[Any]) -> deque[datetime]:
    return deque((datetime.fromisoformat(at) for at in row[1:]), maxlen=row[0])
