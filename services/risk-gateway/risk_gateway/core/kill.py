"""A kill: a halt that also has everything in its scope closed, followed from the request until it is flat.

    requested → delivered → acknowledged → flat

requested: the log has the halt. delivered: the commands are in the log, from where every bot is offered them each second.
acknowledged: every bot has answered every command. flat: the fold shows neither position nor live order, and the bots have
answered: silence is never taken for flat. Beside the way: NOT_ACKNOWLEDGED and NOT_FLAT, each once, when its time is up.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from fleet_contracts import AckState, BotCommand

TURNS_MAX = 20
"""Stages recorded of one kill: a bot that opens and closes for ever is no reason to write for ever."""


class Stage(StrEnum):
    """How far a kill has come."""

    REQUESTED = "REQUESTED"
    DELIVERED = "DELIVERED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    FLAT = "FLAT"
    NOT_ACKNOWLEDGED = "NOT_ACKNOWLEDGED"
    NOT_FLAT = "NOT_FLAT"


class Seen(NamedTuple):
    """When something was so, and the event that shows it."""

    at: datetime
    evidence: str


@dataclass(slots=True)
class Told:
    """One command of a kill, and its bot's newest answer."""

    bot: str
    command: str
    attempt: int
    deadline: datetime
    answer: str = ""
    detail: str = ""
    answered_at: datetime | None = None

    @property
    def taken(self) -> bool:
        """The bot has it in hand, or has done it."""
        return self.answer in (AckState.ACCEPTED, AckState.DONE)


@dataclass(slots=True)
class Kill:
    """Folded: the first of its kind counts, but for `flat`, which ends when something opens again."""

    requested: Seen
    delivered: Seen | None = None
    acknowledged: Seen | None = None
    flat: Seen | None = None
    missed: dict[str, Seen] = field(default_factory=dict)
    """NOT_ACKNOWLEDGED and NOT_FLAT, since when."""
    told: dict[str, Told] = field(default_factory=dict)
    """command_id → the command."""
    expected: int = 0
    """How many commands make it known to every bot."""
    reported: dict[str, None] = field(default_factory=dict)
    """What of `missed` an ANOMALY has told."""
    turns: int = 0
    """Stages recorded so far: it makes the id of the next one."""

    @property
    def stage(self) -> Stage:
        """The newest word on it."""
        if self.flat is not None:
            return Stage.FLAT
        if Stage.NOT_FLAT in self.missed:
            return Stage.NOT_FLAT
        if self.acknowledged is not None:
            return Stage.ACKNOWLEDGED
        if Stage.NOT_ACKNOWLEDGED in self.missed:
            return Stage.NOT_ACKNOWLEDGED
        return Stage.REQUESTED if self.delivered is None else Stage.DELIVERED

    @property
    def needs_a_person(self) -> bool:
        """A time was missed, and it is not flat since."""
        return bool(self.missed) and self.flat is None

    @property
    def refused(self) -> bool:
        """The newest answer to one of the commands is FAILED."""
        return any(told.answer == AckState.FAILED for told in self.newest())

    def newest(self) -> list[Told]:
        """The newest attempt of every command of every bot."""
        return list({(told.bot, told.command): told for told in self.told.values()}.values())

    def tell(self, command: BotCommand, at: datetime) -> None:
        """A command is in the log; its `params` say which attempt it is, and of how many commands."""
        attempt = int(command.params["attempt"])
        self.told[command.command_id] = Told(command.bot, str(command.command), attempt, command.deadline or at)
        if attempt == 1:
            self.expected = int(command.params["of"])
            if len(self.told) >= self.expected:
                self.delivered = Seen(at, command.command_id)

    def hear(self, command_id: str, bot: str, state: AckState, detail: str | None, seen: Seen) -> None:
        """A bot has answered. What was done stays done, whatever comes after it."""
        told = self.told.get(command_id)
        if told is None or told.bot not in ("*", bot) or told.answer == AckState.DONE:
            return
        told.answer, told.detail, told.answered_at = str(state), (detail or "")[:200], seen.at
        taken = {(told.bot, told.command) for told in self.told.values() if told.taken}
        if self.acknowledged is None and len(taken) >= self.expected:
            self.acknowledged = seen

    def reach(self, stage: Stage, seen: Seen) -> None:
        """A RISK_STATE records FLAT, NOT_ACKNOWLEDGED or NOT_FLAT."""
        self.turns += 1
        if stage is Stage.FLAT:
            self.flat = seen
            self.missed.pop(Stage.NOT_FLAT, None)
            self.reported.pop(Stage.NOT_FLAT, None)
        else:
            self.flat = None
            self.missed.setdefault(stage, seen)
