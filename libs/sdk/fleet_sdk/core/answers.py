"""What came back from the order door, read and checked against what was asked."""

from dataclasses import dataclass
from decimal import Decimal

from pydantic import ValidationError
from pydantic_core import from_json

from fleet_contracts import NO_DECISIONS, Decision, OrderDecision, OrderRequest, Reason


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision. `valid_s`: how long an ALLOW may be used, counted from its `ts`."""

    decision: OrderDecision
    valid_s: float

    @property
    def allows(self) -> bool:
        return self.decision.decision is Decision.ALLOW

    @property
    def allowed_qty(self) -> Decimal:
        """What may be sent: never more than was asked."""
        return min(self.decision.allowed_qty or Decimal(0), self.decision.qty) if self.allows else Decimal(0)

    @property
    def opens(self) -> bool:
        """Whether the order adds risk, as the gateway sees it; when it does not say, as the order does."""
        opening = self.decision.opening_qty
        return opening > 0 if opening is not None else not self.decision.reduce_only


@dataclass(frozen=True, slots=True)
class Undecided:
    """A no-decision: the same order may be asked again."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Invalid:
    """The gateway says this is no order; `detail` says why."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Not an answer to this order. It counts as none."""

    detail: str


Answer = Decided | Undecided | Invalid | Unreadable


def read_answer(body: bytes, order: OrderRequest) -> Answer:
    """Read a reply. Never raises."""
    try:
        fields = from_json(body)
        reason = fields.get("reason")
        if reason == Reason.INVALID_REQUEST:
            return Invalid(str(fields.get("message") or "the gateway says: not an order"))
        if reason in NO_DECISIONS:
            return Undecided(Reason(reason))
        return _decided(OrderDecision.model_validate_json(body), order)
    except (ValueError, AttributeError, TypeError) as error:
        text = str(error.errors()[0]["loc"]) if isinstance(error, ValidationError) else str(error)
        return Unreadable(text[:200])


def _decided(decision: OrderDecision, order: OrderRequest) -> Decided | Unreadable:
    asked = (order.account, order.source, order.order_id, order.symbol, order.side, order.qty)
    answered = (decision.account, decision.bot, decision.order_id, decision.symbol, decision.side, decision.qty)
    conflict = decision.reason == Reason.IDEMPOTENCY_CONFLICT
    if decision.event_type != "ORDER_DECISION" or asked[:3] != answered[:3] or (asked != answered and not conflict):
        return Unreadable(f"an answer to another order: {decision.bot}/{decision.order_id}")
    if decision.decision is Decision.DENY:
        return Decided(decision, 0.0)
    if decision.ts is None or decision.valid_until is None or not decision.allowed_qty:
        return Unreadable("an ALLOW without ts, valid_until or allowed_qty")
    return Decided(decision, max(0.0, (decision.valid_until - decision.ts).total_seconds()))
