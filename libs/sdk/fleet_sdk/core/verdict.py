"""What the bot gets for an order, and until when it may use it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from fleet_contracts import Decision, LocalVerdict, OrderDecision


def send_by(asked_at: float, valid_s: float) -> float:
    """The moment (monotonic seconds) after which an ALLOW is void.

    Counted from when the order was *first* asked about: the decision is never older than that, so nothing is sent after
    the gateway's `valid_until`, whatever the two clocks show.
    """
    return asked_at + valid_s


def remaining_by_wall(decision: OrderDecision, now: datetime) -> float:
    """Seconds an ALLOW of an earlier process is still valid: by the wall clock, for want of anything better."""
    if decision.valid_until is None or decision.ts is None:
        return 0.0
    whole = (decision.valid_until - decision.ts).total_seconds()
    return max(0.0, min(whole, (decision.valid_until - now).total_seconds()))


def _nothing() -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """The answer to an order. Truthy when it may be sent.

    `allowed_qty` is the most that may be sent, by `send_by` (monotonic seconds, `time.monotonic()`) at the latest. `reason`
    is OK, or why not. `local`: the SDK answered by itself; `decision` is then a LOCAL_VERDICT.
    """

    allowed: bool
    reason: str
    message: str
    allowed_qty: Decimal
    decision: OrderDecision | LocalVerdict
    send_by: float
    local: bool = False
    _now: Callable[[], float] = field(default=lambda: 0.0, repr=False)
    _stopped: Callable[[], bool] = field(default=lambda: False, repr=False)
    _on_claim: Callable[[], None] = field(default=_nothing, repr=False)
    _on_void: Callable[[], None] = field(default=_nothing, repr=False)

    def __bool__(self) -> bool:
        return self.allowed

    def still_valid(self) -> bool:
        """Ask this right before sending, each time. False: do not send, not later either; when it was never True before,
        the SDK has reported the order as NEVER_SENT.
        """
        if not self.allowed:
            return False
        if self._now() >= self.send_by or self._stopped():
            self._on_void()
            return False
        self._on_claim()
        return True


def denied(decision: OrderDecision) -> Verdict:
    """The gateway's DENY."""
    message = decision.message or ""
    return Verdict(False, decision.reason, message, Decimal(0), decision, 0.0)


def denied_locally(record: LocalVerdict, message: str) -> Verdict:
    """The SDK's own DENY."""
    assert record.decision is Decision.DENY
    return Verdict(False, record.reason, message, Decimal(0), record, 0.0, local=True)
