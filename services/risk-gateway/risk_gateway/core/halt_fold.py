"""What becomes of halts and kills in the fold: begun by a RISK_STATE, delivered by commands, answered by BOT_ACKs."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from fleet_contracts import Anomaly, BotAck, BotCommand, RiskState, TradingState
from risk_gateway.core.equity import DayBase
from risk_gateway.core.kill import Kill, Seen, Stage
from risk_gateway.core.scope import whole
from risk_gateway.core.state import RESUMED_MAX, State


def fold_risk_state(state: State, event: RiskState, at: datetime) -> None:
    """Halts, day base and the numbers a RISK_STATE sets, at fold time `at`."""
    state.trading_state = TradingState(event.trading_state)
    kept = {halt.halt_id: halt for halt in event.halts}
    more: dict[str, Any] = event.model_extra or {}
    lifted = tuple(more.get("lifted") or ())
    answered = [state.halts[halt_id] for halt_id in lifted if halt_id in state.halts]
    for cause in [halt.cause for halt in (*event.halts, *answered) if whole(halt.scope)]:
        state.breaches.pop(cause, None)
    for halt_id in (*state.halts, *lifted):
        if halt_id not in kept:
            state.resumed[halt_id] = None
    while len(state.resumed) > RESUMED_MAX:
        del state.resumed[next(iter(state.resumed))]
    state.halts = kept
    _follow(state, Seen(at, str(event.event_id)), more.get("stages") or {})
    state.manual_close_needed = event.manual_close_needed
    state.raising.pop(str(event.cause), None)
    state.tripped.update(more.get("tripped") or {})
    if more.get("high") is not None:
        state.equity.high = Decimal(more["high"])
    if event.day and event.e0 is not None and (state.equity.base is None or event.day > state.equity.base.day):
        balance = more.get("e0_balance")
        state.equity.base = DayBase(
            event.day,
            event.e0,
            Decimal(more.get("e0_deposits") or 0),
            str(more.get("e0_event") or ""),
            None if balance is None else Decimal(balance),
        )
        upcoming = state.equity.next_base
        if upcoming is not None and upcoming.day <= event.day:
            state.equity.next_base = None


def _follow(state: State, seen: Seen, stages: Mapping[str, str]) -> None:
    """A RISK_STATE is folded: every halt in force that closes is a kill, and it may record how far some have come."""
    state.kills = {
        halt_id: state.kills.get(halt_id) or Kill(Seen(halt.since, seen.evidence))
        for halt_id, halt in state.halts.items()
        if halt.flatten
    }
    for halt_id, stage in stages.items():
        if halt_id in state.kills:
            state.kills[halt_id].reach(Stage(stage), seen)


def tell(state: State, command: BotCommand, at: datetime) -> None:
    """A command is in the log; those of a kill name its halt and which attempt they are."""
    kill = state.kills.get(str(command.cause))
    if kill is not None and "attempt" in command.params:
        kill.tell(command, at)


def hear(state: State, ack: BotAck, bot: str, seen: Seen) -> None:
    """A bot has answered a command, perhaps one of a kill."""
    for kill in state.kills.values():
        kill.hear(ack.command_id, bot, ack.state, ack.detail, seen)


def reported(state: State, anomaly: Anomaly) -> None:
    """That a kill has missed its time is told."""
    kill = state.kills.get(str(anomaly.cause))
    if kill is not None:
        kill.reported[anomaly.kind] = None
