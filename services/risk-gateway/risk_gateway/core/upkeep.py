"""What time and reports make due, looked for once a second: it walks over all orders, which nothing may do for every order."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet_contracts import Fact
from risk_gateway.core.asking import due_questions
from risk_gateway.core.state import State

EVERY = timedelta(seconds=1)


@dataclass(slots=True)
class Upkeep:
    """Finds the facts. When it last looked is no part of the fold: the facts are."""

    last: datetime | None = None

    def due(self, state: State, account: str, now: datetime) -> list[Fact]:
        """Questions about UNKNOWN orders. Empty when it has just looked."""
        if self.last is not None and self.last <= now < self.last + EVERY:
            return []
        self.last = now
        return due_questions(state, account, now)
