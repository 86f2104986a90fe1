"""Commands for this bot: each is done once, none after its deadline, also across restarts."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

from fleet_contracts import AckState, BotCommand

_REMEMBERED_MAX = 10_000


class CommandState(StrEnum):
    """How far a command has come. The shell writes it down before anything is done."""

    STARTED = "STARTED"
    DONE = "DONE"
    FAILED = "FAILED"


class Take(Enum):
    """What to do with a command that has arrived."""

    START = "start"
    IGNORE = "ignore"
    """Not for this bot, too late, running, or done."""
    INTERRUPTED = "interrupted"
    """An earlier process started it and died: answer FAILED, do not do it again."""


@dataclass(slots=True)
class _Known:
    state: CommandState
    mine: bool


class Commands:
    """The commands of one bot. Single owner; bounded: the oldest are forgotten."""

    def __init__(self, bot: str, remembered: dict[str, CommandState] | None = None) -> None:
        self._bot = bot
        self._known = {command_id: _Known(state, mine=False) for command_id, state in (remembered or {}).items()}

    def take(self, command: BotCommand, now: datetime) -> Take:
        """Decide on a command, seen live or listed as open by the gateway. `now` is the bot's time."""
        if command.bot not in ("*", self._bot):
            return Take.IGNORE
        known = self._known.get(command.command_id)
        if known is not None:
            interrupted = known.state is CommandState.STARTED and not known.mine
            return Take.INTERRUPTED if interrupted else Take.IGNORE
        if command.deadline is not None and command.deadline <= now:
            return Take.IGNORE
        return Take.START

    def started(self, command_id: str) -> None:
        """It is being done."""
        while len(self._known) >= _REMEMBERED_MAX:
            del self._known[next(iter(self._known))]
        self._known[command_id] = _Known(CommandState.STARTED, mine=True)

    def finished(self, command_id: str, state: AckState) -> None:
        """It has been answered DONE or FAILED."""
        self._known[command_id] = _Known(CommandState(state.value), mine=True)
