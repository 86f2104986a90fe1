"""Who may publish and subscribe to what on NATS, generated from the registry (DESIGN §2)."""

from collections.abc import Iterable
from dataclasses import dataclass

from fleet_contracts.envelope import TOKEN
from fleet_contracts.registry import BOT, EVENTS, SERVICE
from fleet_contracts.subjects import (
    FLEET_ACCOUNT,
    RESERVED_SOURCES,
    evaluate_subject,
    event_subject,
    review_subject,
    state_subject,
)
from fleet_contracts.vocabulary import Stream


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one NATS user may do. `answers`: it may publish once to the reply subject of a request it received."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool = False


_FOLD = (
    "$JS.API.STREAM.INFO.*",
    "$JS.API.STREAM.MSG.GET.*",
    "$JS.API.CONSUMER.CREATE.FLEET.>",
    "$JS.API.CONSUMER.CREATE.HEARTBEAT.>",
    "$JS.API.CONSUMER.CREATE.MARKET.>",
    "$JS.API.CONSUMER.DELETE.*.*",
    "$JS.API.CONSUMER.INFO.*.*",
    "$JS.API.CONSUMER.MSG.NEXT.*.*",
)
_ASKS = {"risk-gateway": ("svc.risk.evaluate.*.*",)}
"""Doors a service asks at: a follower's HTTP side asks the leader."""
_DOORS = {
    "risk-gateway": ("svc.risk.*.*.*", "svc.control.*.*.*"),
    "ingest": ("svc.ingest.*.*.*",),
    "signal-reviewer": ("svc.signal.*.*.*",),
}


def bot_permissions(bot: str, accounts: Iterable[str]) -> Permissions:
    """A bot's rights: its own events and its own doors, in its accounts; no JetStream API at all.

    Raises ValueError for a name no bot may have, SubjectError for an account that is no token.
    """
    if not TOKEN.fullmatch(bot) or bot in RESERVED_SOURCES:
        raise ValueError(f"{bot!r} cannot be a bot: not a token, or a name of the fleet's own")
    publish: list[str] = []
    subscribe = [f"_INBOX.{bot}.>"]
    for account in accounts:
        publish += [event_subject(account, spec.token, bot) for spec in EVENTS if BOT in spec.producers]
        publish += [evaluate_subject(account, bot), review_subject(account, bot), state_subject(account, bot)]
        subscribe += [
            f"live.fleet.{account}.order_decision.risk-gateway",
            f"live.fleet.{account}.bot_command.*",
            f"live.fleet.{account}.risk_state.*",
        ]
    return Permissions(tuple(publish), tuple(subscribe))


def service_permissions(service: str) -> Permissions:
    """A service's rights, `ingest` excepted: its own events, its own leases, reads of the streams it folds."""
    if service == "ingest":
        return _ingest()
    events = [
        f"fleet.{FLEET_ACCOUNT if spec.stream is Stream.HEARTBEAT else '*'}.{spec.token}.{service}"
        for spec in EVENTS
        if spec.producers & {service, SERVICE}
    ]
    return Permissions(
        publish=(*events, f"$KV.leases.{service}.>", *_ASKS.get(service, ()), *_FOLD),
        subscribe=(f"_INBOX.{service}.>", *_DOORS.get(service, ()), "live.fleet.>"),
        answers=True,
    )


def _ingest() -> Permissions:
    """It writes dead letters and its own heartbeat, reads two streams by durable consumers, and acknowledges."""
    return Permissions(
        publish=(
            f"fleet.{FLEET_ACCOUNT}.heartbeat.ingest",
            "dead.ingest.*",
            "$JS.ACK.>",
            "$JS.API.STREAM.INFO.*",
            "$JS.API.STREAM.MSG.GET.*",
            "$JS.API.CONSUMER.INFO.*.ingest",
            "$JS.API.CONSUMER.MSG.NEXT.*.ingest",
        ),
        subscribe=("_INBOX.ingest.>", *_DOORS["ingest"]),
        answers=True,
    )


def operator_permissions() -> Permissions:
    """The CLI's rights: read every stream, ask ingest to read again. It publishes no event."""
    return Permissions(
        publish=(
            "$JS.API.STREAM.INFO.*",
            "$JS.API.STREAM.MSG.GET.*",
            "$JS.API.CONSUMER.CREATE.>",
            "$JS.API.CONSUMER.DELETE.*.*",
            "$JS.API.CONSUMER.INFO.*.*",
            "$JS.API.CONSUMER.MSG.NEXT.*.*",
            "svc.ingest.*.*.*",
        ),
        subscribe=("_INBOX.operator.>", "live.fleet.>"),
    )
