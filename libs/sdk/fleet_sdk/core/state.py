"""What the fleet says of this bot: mode, trading state, halts, constraints, open commands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fleet_contracts import BotCommand, Halt, Mode, TradingState
from fleet_contracts.envelope import Moment
from fleet_sdk.core.scope import reaches

_NONE: Mapping[str, Any] = MappingProxyType({})
POLLS_UNTIL_STALE = 3


@dataclass(frozen=True, slots=True)
class BotState:
    """The newest known state. Everything is None or empty until the first answer. `stale`: the last answers are missing,
    so it may have changed.
    """

    mode: Mode | None = None
    trading_state: TradingState | None = None
    halts: tuple[Halt, ...] = ()
    constraints: Mapping[str, Any] = field(default_factory=lambda: _NONE)
    as_of: datetime | None = None
    stale: bool = True
    bot: str = ""
    manual_close_needed: bool = False
    """A bot did not close what it was told to: a person has to."""

    @property
    def stops_openings(self) -> bool:
        """As far as is known, nothing that adds risk may be sent."""
        return self.stops()

    def stops(self, symbol: str | None = None) -> bool:
        """The same for orders in a symbol: it may be halted alone."""
        if self.trading_state in (TradingState.HALTED, TradingState.REDUCING):
            return True
        return any(reaches(halt.scope, self.bot, symbol) for halt in self.halts)


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore")

    account: str
    bot: str
    mode: Mode | None = None
    trading_state: TradingState | None = None
    halts: list[Halt] = Field(default_factory=list)
    constraints: dict[str, Any] = Field(default_factory=dict)
    commands: Annotated[list[dict[str, Any]], Field(max_length=1_000)] = Field(default_factory=list)
    as_of: Moment | None = None
    manual_close_needed: bool = False


@dataclass(frozen=True, slots=True)
class StateAnswer:
    """A reply of `svc.control.state`: the state, and the commands without this bot's final BOT_ACK."""

    state: BotState
    commands: tuple[BotCommand, ...]
    bad_commands: int = 0


def read_state(body: bytes, account: str, bot: str) -> StateAnswer | None:
    """Read a reply; None when it is none for this bot. A command that cannot be read is counted and left out."""
    try:
        reply = _Reply.model_validate_json(body)
    except ValidationError:
        return None
    if (reply.account, reply.bot) != (account, bot):
        return None
    state = BotState(
        mode=reply.mode,
        trading_state=reply.trading_state,
        halts=tuple(reply.halts),
        constraints=MappingProxyType(reply.constraints),
        as_of=reply.as_of,
        stale=False,
        bot=bot,
        manual_close_needed=reply.manual_close_needed,
    )
    commands: list[BotCommand] = []
    for fields in reply.commands:
        try:
            commands.append(BotCommand.model_validate(fields))
        except ValidationError:
            continue
    return StateAnswer(state, tuple(commands), len(reply.commands) - len(commands))
