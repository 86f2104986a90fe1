"""The one list of events: model, producer, stream, table. Schemas, permissions, AsyncAPI and docs are generated from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fleet_contracts import bot_events as bot
from fleet_contracts import fleet_events as fleet
from fleet_contracts.envelope import Event
from fleet_contracts.vocabulary import Stream

EventModel = type[Event]
BOT = "bot"
"""Stands for any bot id in `EventSpec.producers`."""
SERVICE = "service"
"""Stands for any service name in `EventSpec.producers`."""


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One event type. `table`: where ingest keeps it typed (beside `events`); `journaled`: ingest reads its stream.

    A bad line of a journaled stream becomes one letter in DEAD; of MARKET it is counted and forgotten.
    """

    type: str
    model: EventModel
    producers: frozenset[str]
    stream: Stream
    table: str | None
    doc: str

    @property
    def token(self) -> str:
        """snake_case of the type, as it stands in subjects."""
        return self.type.lower()

    @property
    def journaled(self) -> bool:
        """Every stored line of it lands in QuestDB."""
        return self.stream is not Stream.MARKET


def _spec(event_type: str, model: EventModel, producers: str, table: str | None, stream: Stream = Stream.FLEET) -> EventSpec:
    doc = (model.__doc__ or "").strip().splitlines()[0]
    return EventSpec(event_type, model, frozenset(producers.split()), stream, table, doc)


EVENTS: tuple[EventSpec, ...] = (
    _spec("ORDER_REQUEST", bot.OrderRequest, BOT, None),
    _spec("ORDER_EVENT", bot.OrderEvent, BOT, "order_events"),
    _spec("TRADE", bot.Trade, BOT, "trades"),
    _spec("EQUITY", bot.Equity, BOT, "equity"),
    _spec("MARK", bot.Mark, BOT, None, Stream.MARKET),
    _spec("SIGNAL_CONTEXT", bot.SignalContext, BOT, "signals"),
    _spec("HEARTBEAT", bot.Heartbeat, f"{BOT} {SERVICE}", "heartbeats", Stream.HEARTBEAT),
    _spec("BOT_ACK", bot.BotAck, BOT, None),
    _spec("LOCAL_VERDICT", bot.LocalVerdict, BOT, "local_verdicts"),
    _spec("ORDER_DECISION", fleet.OrderDecision, "risk-gateway", "order_decisions"),
    _spec("LEADER", fleet.Leader, SERVICE, None),
    _spec("RISK_STATE", fleet.RiskState, "risk-gateway", "risk_state"),
    _spec("RISK_LIMITS", fleet.RiskLimits, "risk-gateway", None),
    _spec("OPERATOR_COMMAND", fleet.OperatorCommand, "risk-gateway", "operator_commands"),
    _spec("BOT_COMMAND", fleet.BotCommand, "risk-gateway heartbeat-monitor policy-engine", None),
    _spec("BOT_PROCESS", fleet.BotProcess, "bot-runner", "bot_processes"),
    _spec("ANOMALY", fleet.Anomaly, SERVICE, "anomalies"),
    _spec("BOT_STATUS", fleet.BotStatus, "heartbeat-monitor", "bot_status"),
    _spec("MODE_CHANGE", fleet.ModeChange, "risk-gateway", "mode_changes"),
    _spec("SIGNAL_REVIEW", fleet.SignalReview, "signal-reviewer", "signal_reviews"),
    _spec("RISK_REVIEW", fleet.RiskReview, "signal-reviewer", "risk_reviews"),
    _spec("POLICY_ACTION", fleet.PolicyAction, "policy-engine", "policy_actions"),
    _spec("PROPOSAL", fleet.Proposal, "policy-engine", "proposals"),
    _spec("META_TASK", fleet.MetaTask, "meta-runner", None),
    _spec("META_REPORT", fleet.MetaReport, "meta-runner", "meta_reports"),
    _spec("AUDIT_CHECKPOINT", fleet.AuditCheckpoint, "policy-engine", None),
)
REGISTRY: Mapping[str, EventSpec] = MappingProxyType({spec.type: spec for spec in EVENTS})
BY_TOKEN: Mapping[str, EventSpec] = MappingProxyType({spec.token: spec for spec in EVENTS})


def stream_subjects(stream: Stream) -> list[str]:
    """What a stream stores. FLEET lists its events one by one: `fleet.>` would overlap with the other two."""
    match stream:
        case Stream.DEAD:
            return ["dead.>"]
        case Stream.SCHEDULE:
            return ["schedule.>"]
        case _:
            return [f"fleet.*.{spec.token}.*" for spec in EVENTS if spec.stream is stream]
