"""The AsyncAPI 3 document: every subject, who sends on it, what it carries; seen from a bot."""

from typing import Any

from fleet_contracts.registry import BOT, EVENTS, EventSpec
from fleet_contracts.subjects import evaluate_subject, live_subject, review_subject, state_subject

SCHEMAS = "../libs/contracts/fleet_contracts/schemas"
"""Where the schemas lie, seen from the document."""
_PARAMETERS = {
    "account": {"description": "the unit of capital and risk"},
    "source": {"description": "the bot's id, or the name of the service that publishes"},
    "bot": {"description": "the bot's id"},
}


def document() -> dict[str, Any]:
    """The whole document. Operations are a bot's: it sends its own events, asks at the doors, and may watch the rest live."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for spec in EVENTS:
        by_bot = BOT in spec.producers
        address = f"fleet.{{account}}.{spec.token}.{{source}}"
        channels[spec.token] = _channel(address if by_bot else live_subject(address), spec.doc, spec.token)
        operations[f"{'send' if by_bot else 'watch'}_{spec.token}"] = {
            "action": "send" if by_bot else "receive",
            "channel": _ref("channels", spec.token),
            "summary": f"{spec.doc} Stored in {spec.stream}.",
        }
    for name, door in _doors().items():
        channels[name], channels[f"{name}_reply"] = door["channel"], door["reply"]
        operations[name] = {
            "action": "send",
            "channel": _ref("channels", name),
            "summary": door["summary"],
            "reply": {"channel": _ref("channels", f"{name}_reply")},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "QuantumEdge Supervisor",
            "version": "1",
            "description": "What bots and the fleet tell each other over NATS: JSON events, one per line of a message.",
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:4222", "protocol": "nats", "description": "the fleet of this machine"}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": {spec.token: _message(spec) for spec in EVENTS} | {"control_state": _STATE}},
    }


_STATE = {
    "name": "control_state",
    "summary": "The bot's mode, halts, constraints and open commands.",
    "payload": {
        "type": "object",
        "required": ["account", "bot", "mode", "trading_state", "halts", "constraints", "commands", "as_of"],
        "properties": {
            "account": {"type": "string"},
            "bot": {"type": "string"},
            "mode": {"type": "string"},
            "trading_state": {"type": "string"},
            "halts": {"type": "array", "items": {"type": "object"}},
            "constraints": {"type": "object"},
            "commands": {"type": "array", "items": {"$ref": f"{SCHEMAS}/bot_command.json"}},
            "as_of": {"type": "string", "format": "date-time"},
        },
    },
}


def _doors() -> dict[str, dict[str, Any]]:
    """The request doors of a bot."""
    account, bot = "{account}", "{bot}"
    return {
        "evaluate": _door(evaluate_subject(account, bot), "order_request", "order_decision", "Ask before an order is sent."),
        "review": _door(review_subject(account, bot), "signal_context", "signal_review", "Ask for a second opinion."),
        "state": _door(state_subject(account, bot), None, "control_state", "Ask for mode, halts and commands, every second."),
    }


def _door(address: str, asked: str | None, answered: str, summary: str) -> dict[str, Any]:
    return {"channel": _channel(address, summary, asked), "reply": _channel(None, "The answer.", answered), "summary": summary}


def _channel(address: str | None, description: str, message: str | None) -> dict[str, Any]:
    channel: dict[str, Any] = {"address": address, "description": description}
    names = [name for name in _PARAMETERS if f"{{{name}}}" in (address or "")]
    if names:
        channel["parameters"] = {name: _PARAMETERS[name] for name in names}
    channel["messages"] = {message: _ref("components/messages", message)} if message else {}
    return channel


def _message(spec: EventSpec) -> dict[str, Any]:
    return {"name": spec.type, "summary": spec.doc, "payload": {"$ref": f"{SCHEMAS}/{spec.token}.json"}}


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/{kind}/{name}"}
