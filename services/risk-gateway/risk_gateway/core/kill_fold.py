"""What becomes of kills in the fold: begun by a RISK_STATE, delivered by commands, acknowledged by BOT_ACKs."""

from collections.abc import Mapping
from datetime import datetime

from fleet_contracts import Anomaly, BotAck, BotCommand
from risk_gateway.core.kill import Kill, Seen, Stage
from risk_gateway.core.state import State


def follow(state: State, seen: Seen, stages: Mapping[str, str]) -> None:
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
