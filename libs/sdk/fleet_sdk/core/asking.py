"""How often and when an order is asked about before its deadline. The same bytes each time: the order id makes it one order."""

from dataclasses import dataclass
from enum import Enum

from fleet_contracts import Reason
from fleet_sdk.core.local import LocalReason

_SHARE_BEFORE_RESEND = 0.35
_RESEND_S_MIN = 0.02
_BACKOFF_S = 0.01
_BACKOFF_S_MAX = 0.25
_ATTEMPTS = 8
_ATTEMPTS_PER_S = 4
_TRAVEL_MS = 10
_TRAVEL_SHARE = 20


def gateway_deadline_ms(deadline_ms: int) -> int:
    """What the gateway is told: a little less than ours, so that its answer is here in time."""
    return max(1, deadline_ms - max(_TRAVEL_MS, deadline_ms // _TRAVEL_SHARE)) if deadline_ms > _TRAVEL_MS else deadline_ms


class Due(Enum):
    """What is due now."""

    SEND = "send"
    WAIT = "wait"
    GIVE_UP = "give up"


@dataclass(slots=True)
class Asking:
    """One question's way through its deadline. Times are monotonic seconds."""

    started: float
    deadline: float
    sends: int = 0
    next_send: float = 0.0
    backoff_s: float = _BACKOFF_S
    reason: str = LocalReason.BUS_AWAY
    """Why there is no decision so far."""
    open_sends: int = 0
    """Sends that may have led, or may still lead, to a decision."""

    def due(self, now: float) -> Due:
        """Whether to send, to wait (`wake_at`), or to give up."""
        if now >= self.deadline:
            return Due.GIVE_UP
        if now >= self.next_send and self.sends < _ATTEMPTS + _ATTEMPTS_PER_S * (self.deadline - self.started):
            return Due.SEND
        return Due.WAIT

    def wake_at(self, now: float) -> float:
        """When to look again, if nothing is heard before."""
        return self.deadline if self.next_send <= now else min(self.next_send, self.deadline)

    def sent(self, now: float) -> None:
        """It has left this machine. Without an answer it leaves again."""
        self.sends += 1
        self.open_sends += 1
        self.reason = LocalReason.NO_ANSWER
        self.next_send = now + max(_RESEND_S_MIN, _SHARE_BEFORE_RESEND * (self.deadline - self.started))

    def not_sent(self, now: float) -> None:
        """There is no connection; look again soon."""
        self._later(now)

    def heard_no_decision(self, now: float, reason: str) -> None:
        """A no-decision of the gateway, or nobody listens (NO_LEADER)."""
        self.reason = reason
        self.open_sends -= settles(reason)
        self._later(now)

    def connection_lost(self, now: float) -> None:
        """What was sent may have arrived or not; it goes out again on the next connection."""
        self.next_send = min(self.next_send, now)

    def _later(self, now: float) -> None:
        self.next_send = now + self.backoff_s
        self.backoff_s = min(self.backoff_s * 2, _BACKOFF_S_MAX)


def settles(reason: str) -> bool:
    """Whether a no-decision says for certain that the order was not decided. JOURNAL_UNAVAILABLE does not: the append
    may still arrive.
    """
    return reason in (Reason.NO_LEADER, Reason.OVERLOADED)
