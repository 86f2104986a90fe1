"""Halts: what is in force, which reason it gives, and which ones the equity demands.

A halt is in force by a RISK_STATE under the account's fence, or by a latch (file or memory) from the moment it exists.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fleet_contracts import Halt, Reason, TradingState, derived_id
from risk_gateway.core.equity import EquityState
from risk_gateway.core.rules import Rules
from risk_gateway.core.scope import concerns, whole
from risk_gateway.core.state import State

DAILY_LOSS, MAX_DRAWDOWN, KILL_SWITCH = "DAILY_LOSS", "MAX_DRAWDOWN", "KILL_SWITCH"
HARD = frozenset({DAILY_LOSS, MAX_DRAWDOWN})
"""Causes of the halts that the gateway makes by itself."""
_REASONS = {DAILY_LOSS: Reason.DAILY_LOSS, MAX_DRAWDOWN: Reason.MAX_DRAWDOWN, KILL_SWITCH: Reason.KILL_SWITCH}


def in_force(state: State, latches: Mapping[str, Halt]) -> list[Halt]:
    """Folded halts and latches, each once, oldest first. A latch that was lifted in the log is void."""
    if not latches and not state.halts:
        return []
    halts = {halt_id: halt for halt_id, halt in latches.items() if halt_id not in state.resumed}
    return sorted((halts | state.halts).values(), key=lambda halt: (halt.since, halt.halt_id))


def reason_of(halts: Iterable[Halt]) -> Reason | None:
    """The reason of the oldest halt of the whole account."""
    return _reason(halt for halt in halts if whole(halt.scope))


def reason_for(halts: Iterable[Halt], bot: str, symbol: str) -> Reason | None:
    """The reason of the oldest halt that reaches an order of this bot in this symbol."""
    return _reason(halt for halt in halts if concerns(halt.scope, bot, symbol))


def _reason(halts: Iterable[Halt]) -> Reason | None:
    oldest = next(iter(halts), None)
    return None if oldest is None else _REASONS.get(oldest.cause, Reason.HALTED)


def trading_state(halts: Iterable[Halt], equity: EquityState, rules: Rules | None) -> TradingState:
    """HALTED while a halt of the whole account is in force, REDUCING over the soft drawdown (not latched), else ACTIVE."""
    if any(whole(halt.scope) for halt in halts):
        return TradingState.HALTED
    if rules is not None and equity.drawdown_over(rules.risk.limits.max_drawdown.soft_pct):
        return TradingState.REDUCING
    return TradingState.ACTIVE


@dataclass(frozen=True, slots=True)
class Trip:
    """A hard limit that the newest equity has passed."""

    halt: Halt
    event: str


def trips(state: State, account: str, now: datetime) -> list[Trip]:
    """Hard limits passed and not yet latched, by the newest equity or by one before it that nobody has answered.

    One equity event trips a limit once, so a resume lasts until the next.
    """
    if state.rules is None or not state.equity.event:
        return []
    rules, today = state.rules, state.rules.day_of(now)
    newest = [cause for cause in passed(state.equity, rules, today) if cause not in state.doubts]
    found = dict.fromkeys(newest, state.equity.event)
    found |= {cause: event for cause, (event, day) in state.breaches.items() if day == today or _outlives(cause, rules)}
    latched = {halt.cause for halt in state.halts.values() if whole(halt.scope)}
    return [
        Trip(_latched(account, cause, event, now, flatten=rules.risk.on_hard_breach == "close_positions"), event)
        for cause, event in found.items()
        if cause not in latched and state.tripped.get(cause) != event
    ]


def passed(equity: EquityState, rules: Rules, day: str) -> list[str]:
    """The hard limits that the equity passes on a trading day, by the cause of their halt (DL-3, DD-1)."""
    causes = []
    base = equity.base_of(day)
    if base is not None and equity.daily_loss(base) >= equity.daily_loss_limit(rules, base) > 0:
        causes.append(DAILY_LOSS)
    if equity.drawdown_over(rules.risk.limits.max_drawdown.hard_pct):
        causes.append(MAX_DRAWDOWN)
    return causes


def doubted(state: State, causes: Iterable[str], rules: Rules) -> list[str]:
    """EQ-5: which of the limits that the newest equity passes count now. Untrusted equity counts once it has stood over a limit
    for `untrusted_equity_s`, without a trusted reading between: `doubts` (folded) says since when.
    """
    equity, at = state.equity, state.equity.observed_at
    assert at is not None
    if equity.trusted or not rules.untrusted_for:
        state.doubts.clear()
        return list(causes)
    for cause in causes:
        state.doubts.setdefault(cause, at)
    certain = [cause for cause in causes if at - state.doubts[cause] >= rules.untrusted_for]
    for cause in certain:
        del state.doubts[cause]
    return certain


def _outlives(cause: str, rules: Rules) -> bool:
    """Whether a halt of this cause goes on when its day has ended."""
    return cause != DAILY_LOSS or not rules.risk.day.auto_resume


def _latched(account: str, cause: str, event: str, now: datetime, *, flatten: bool) -> Halt:
    halt_id = derived_id(account, "risk-gateway", event, "HALT", cause)
    return Halt(
        halt_id=halt_id,
        scope="account",
        cause=cause,
        since=now,
        latched=True,
        by="risk-gateway",
        flatten=True if flatten else None,
    )
