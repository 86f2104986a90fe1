"""What is due beside halts and answers: commands, alarms, and the questions that time alone makes due.

Questions take a walk over all orders, which nothing may do for every order: they are looked for once a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet_contracts import Fact
from risk_gateway.core.alarms import due_alarms
from risk_gateway.core.asking import due_questions
from risk_gateway.core.closing import due_anomalies, due_commands
from risk_gateway.core.state import State

EVERY = timedelta(seconds=1)


@dataclass(slots=True)
class Upkeep:
    """Finds the facts. When it last looked is no part of the fold: the facts are."""

    last: datetime | None = None

    def due(self, state: State, account: str, bots: Sequence[str], now: datetime) -> list[Fact]:
        """What kills owe; alarms not told yet; questions about UNKNOWN orders, unless it has just looked for some."""
        facts = [
            *due_commands(state, account, bots, now),
            *due_anomalies(state, account, now),
            *due_alarms(state, account, now),
        ]
        if self.last is None or not self.last <= now < self.last + EVERY:
            self.last = now
            facts += due_questions(state, account, now)
        return facts
