"""What a person asks of an account, and how that may fail."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from fleet_contracts import Fact, Reason
from risk_gateway.core.checklist import Item


class NotRecorded(Exception):
    """A command could not be stored; `reason` is one of the four no-decisions. Nothing has changed."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Unknown(Exception):
    """Nobody knows yet whether a command has taken effect: the log gave no answer in time."""


class Outdated(Exception):
    """The limits have changed since they were read."""


class NotClean(Exception):
    """Not everything is in order for a resume, and not everything that is not was overridden."""

    def __init__(self, items: list[Item]) -> None:
        super().__init__(", ".join(item.name for item in items))
        self.items = items


@dataclass(frozen=True, slots=True)
class Lift:
    """What a resume lifts, and how: `overrides` are items of the checklist with why each may be passed over."""

    halt_ids: frozenset[str]
    overrides: Mapping[str, str]
    rebase: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Who asked for what, and why; `key` makes it one command however often it is sent."""

    by: str
    role: str
    reason: str
    key: str


class Record:
    """Waits for one fact to be stored."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.done: asyncio.Future[Reason | None] = asyncio.get_running_loop().create_future()

    def stored(self, fact: Fact, seq: int, line: int) -> None:
        """It is in the log."""
        if not self.done.done():
            self.done.set_result(None)

    def refused(self, fact: Fact, reason: Reason) -> None:
        """It is not, as far as is known."""
        if not self.done.done():
            self.done.set_result(reason)
