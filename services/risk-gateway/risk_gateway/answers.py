"""The answers that are not stored decisions as they stand: no-decisions, repeats, and ALLOWs that a halt has voided."""

from datetime import datetime
from typing import Any

from fleet_contracts import Decision, OrderDecision, OrderRequest, Reason, encode_reply
from fleet_contracts.money import ZERO
from risk_gateway.core.decision import Order, sent_fields

MESSAGES = {
    Reason.JOURNAL_UNAVAILABLE: "the decision could not be stored in time; nothing is allowed unrecorded",
    Reason.NO_LEADER: "this gateway does not lead the account now; ask again",
    Reason.OVERLOADED: "too many requests at once; ask again later",
    Reason.INVALID_REQUEST: "the request is not an order",
    Reason.DECISION_EXPIRED: "the stored ALLOW may not be used any more; send a new order",
}
_DECIDED = frozenset(OrderDecision.model_fields) - frozenset(OrderRequest.model_fields)
"""What only a decision says. A request that says it too means nothing by it, and nobody has looked at what it is."""


def no_decision(order: Order, bot: str, door: str, reason: Reason, now: datetime) -> bytes:
    """DENY with one of the four reasons that are never stored; `event_id` is null and the order may be asked again."""
    sent = {name: value for name, value in sent_fields(order).items() if name not in _DECIDED}
    return encode_reply(OrderDecision.model_construct(**(sent | _fields(reason, now, bot, door))))


def invalid(account: str, bot: str, door: str, detail: str, now: datetime) -> bytes:
    """DENY INVALID_REQUEST for a body that is no order (the NATS door; HTTP answers 422)."""
    fields = _fields(Reason.INVALID_REQUEST, now, bot, door) | {"message": detail}
    return encode_reply(OrderDecision.model_construct(account=account, **fields))


def repeated(decision: OrderDecision, reason: Reason | None) -> bytes:
    """A stored decision once more; `reason`: why its ALLOW is a DENY by now."""
    if decision.decision is Decision.ALLOW and reason is not None:
        return voided(decision, reason, duplicate=True)
    return encode_reply(decision.model_copy(update={"duplicate": True}))


def voided(decision: OrderDecision, reason: Reason, *, duplicate: bool = False) -> bytes:
    """A stored ALLOW that may not be released: DENY with the present reason, itself not stored."""
    return encode_reply(
        decision.model_copy(
            update={
                "decision": Decision.DENY,
                "reason": reason,
                "message": MESSAGES.get(reason, "a halt has taken effect since the order was decided"),
                "allowed_qty": ZERO,
                "duplicate": duplicate,
            }
        )
    )


def _fields(reason: Reason, now: datetime, bot: str, door: str) -> dict[str, Any]:
    return {
        "event_type": "ORDER_DECISION",
        "source": "risk-gateway",
        "ts": now,
        "event_id": None,
        "cause": None,
        "bot": bot,
        "door": door,
        "decision": Decision.DENY,
        "reason": reason,
        "message": MESSAGES[reason],
        "allowed_qty": ZERO,
        "duplicate": False,
    }
