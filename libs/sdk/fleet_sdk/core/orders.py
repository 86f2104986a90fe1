"""What became of each order id in this bot, so that nothing is sent late, and nothing that was sent is called never sent.

    ASKED ──ALLOW──▶ ALLOWED ──reported by the bot──▶ SENT
      └──given up──▶ GIVEN_UP ◀──expired unused, never_sent()──┘ (from ALLOWED only)

GIVEN_UP is final: the id may not be sent any more. ASKED, ALLOWED and GIVEN_UP outlive the process (the shell writes them
down): of an id that is only ASKED nobody was ever told that it may be sent.
"""

from dataclasses import dataclass
from enum import StrEnum

_REMEMBERED_MAX = 20_000


class OrderState(StrEnum):
    """Where an order id stands."""

    ASKED = "ASKED"
    ALLOWED = "ALLOWED"
    SENT = "SENT"
    GIVEN_UP = "GIVEN_UP"


@dataclass(slots=True)
class _Known:
    state: OrderState = OrderState.ASKED
    open: int = 0
    """How many questions about it have no answer yet."""
    asked_at: float | None = None
    """Monotonic time of the first question in this process."""
    claimed: bool = False
    """The bot was told that the verdict is still valid (or an earlier process was, for all we know): from then on it may
    have been sent.
    """
    settled: bool = False
    """Its NEVER_SENT was said when its decision was known to be stored."""


class Orders:
    """The orders of one bot. Single owner; bounded: the oldest are forgotten."""

    def __init__(self, remembered: dict[str, OrderState] | None = None) -> None:
        self._known = {
            order_id: _Known(state, claimed=state in (OrderState.ALLOWED, OrderState.SENT))
            for order_id, state in (remembered or {}).items()
        }

    def asking(self, order_id: str, now: float) -> float:
        """An order is being asked about; returns when it was first, which is where its validity is counted from. Then call
        `answered`.
        """
        known = self._entry(order_id)
        known.open += 1
        if known.asked_at is None:
            known.asked_at = now
        return known.asked_at

    def answered(self, order_id: str) -> None:
        """A question has its answer, or will get none."""
        self._entry(order_id).open -= 1

    def never_allowed(self, order_id: str) -> bool:
        """Whether nobody here was ever told that a known order may be sent, nor will be: from now on it is given up."""
        known = self._known.get(order_id)
        if known is None or known.open or known.state not in (OrderState.ASKED, OrderState.GIVEN_UP):
            return False
        known.state = OrderState.GIVEN_UP
        return True

    def was_allowed_before(self, order_id: str) -> bool:
        """An earlier process was told ALLOW: whether it sent the order is not known."""
        known = self._known.get(order_id)
        return known is not None and known.asked_at is None and known.state is OrderState.ALLOWED

    def given_up(self, order_id: str) -> bool:
        """Whether the id may not be sent any more."""
        known = self._known.get(order_id)
        return known is not None and known.state is OrderState.GIVEN_UP

    def allow(self, order_id: str) -> bool:
        """An ALLOW has come. False when it comes too late: the order stays given up."""
        known = self._entry(order_id)
        if known.state is OrderState.GIVEN_UP:
            return False
        if known.state is OrderState.ASKED:
            known.state = OrderState.ALLOWED
        return True

    def give_up(self, order_id: str) -> bool:
        """No usable answer has come. True when the order is now given up; False when it was allowed at another time,
        so that it may have been sent.
        """
        known = self._entry(order_id)
        if known.state in (OrderState.ALLOWED, OrderState.SENT):
            return False
        known.state = OrderState.GIVEN_UP
        return True

    def claim(self, order_id: str) -> None:
        """The bot was told to go ahead."""
        self._entry(order_id).claimed = True

    def expire(self, order_id: str) -> bool:
        """The bot was told not to send any more. True when it had never been told to go ahead: the order is given up."""
        known = self._entry(order_id)
        if known.state is not OrderState.ALLOWED or known.claimed:
            return False
        known.state = OrderState.GIVEN_UP
        return True

    def settle(self, order_id: str) -> bool:
        """NEVER_SENT is about to be said with the decision known or surely stored by now. True the first time."""
        known = self._entry(order_id)
        first, known.settled = not known.settled, True
        return first

    def reported(self, order_id: str) -> None:
        """The bot reports something of it, so it was sent. (That it was given up before stays true.)"""
        known = self._entry(order_id)
        if known.state is not OrderState.GIVEN_UP:
            known.state = OrderState.SENT

    def never_sent(self, order_id: str) -> bool:
        """The bot says it has not sent it and will not. False when it has already reported something of it."""
        known = self._entry(order_id)
        if known.state is OrderState.SENT:
            return False
        known.state = OrderState.GIVEN_UP
        return True

    def _entry(self, order_id: str) -> _Known:
        known = self._known.get(order_id)
        if known is None:
            if len(self._known) >= _REMEMBERED_MAX:
                del self._known[next(iter(self._known))]
            known = self._known[order_id] = _Known()
        return known
