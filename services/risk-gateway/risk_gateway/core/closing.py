"""What the kills in force demand of a leader now: commands to the bots, the next stage, and a word when a bot does not obey.

Level-triggered, like `owed`: asking twice never does a thing twice. A command that is not answered in time, or not carried
out, is repeated once; then a person is needed, and the log says so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from fleet_contracts import AckState, Anomaly, BotCommand, Command, Fact, Halt, derived_id
from fleet_contracts.envelope import format_ts
from risk_gateway.core.facts import fact_of
from risk_gateway.core.halts import HARD
from risk_gateway.core.kill import TURNS_MAX, Kill, Stage
from risk_gateway.core.rules import Rules
from risk_gateway.core.scope import bot_in, is_flat, open_in, symbol_in
from risk_gateway.core.state import SERVICE, State

COMMANDS = (Command.CANCEL_ORDERS, Command.CLOSE_POSITIONS)
"""What a kill tells every bot of its scope, in this order."""
ATTEMPTS_MAX = 2
OPEN_SHOWN_MAX = 20


def due_commands(state: State, account: str, bots: Sequence[str], now: datetime) -> list[Fact]:
    """The commands of every kill that are not in the log yet: the first attempt, and the repeat once a time was missed."""
    facts = []
    for halt_id, kill in state.kills.items():
        halt = state.halts[halt_id]
        for attempt, told, of in (*_first(kill, halt, bots), *_again(kill)):
            command_id = _command_id(account, halt_id, *told, attempt)
            if command_id not in kill.told:
                facts.append(_command(state, account, halt, command_id, told, attempt, of, now))
    return facts


_Pair = tuple[str, Command]
"""(bot, command)"""


def _first(kill: Kill, halt: Halt, bots: Sequence[str]) -> Iterator[tuple[int, _Pair, int]]:
    """Until it is delivered: every command, to every bot of the scope; to whoever listens where none is configured."""
    if kill.delivered is not None:
        return
    one = bot_in(halt.scope)
    meant = [one] if one is not None else list(bots) or ["*"]
    for bot in meant:
        for command in COMMANDS:
            yield 1, (bot, command), len(meant) * len(COMMANDS)


def _again(kill: Kill) -> Iterator[tuple[int, _Pair, int]]:
    """Once, what is not done when a time was missed."""
    if not kill.missed or kill.flat is not None:
        return
    for told in kill.newest():
        if told.attempt < ATTEMPTS_MAX and told.answer != AckState.DONE:
            yield told.attempt + 1, (told.bot, Command(told.command)), kill.expected


def _command_id(account: str, halt_id: str, bot: str, command: Command, attempt: int) -> str:
    return derived_id(account, SERVICE, halt_id, "BOT_COMMAND", f"{command}/{bot}/{attempt}")


def _command(
    state: State, account: str, halt: Halt, command_id: str, told: _Pair, attempt: int, of: int, now: datetime
) -> Fact:
    bot, command = told
    params = {"reason": halt.cause, "halt_id": halt.halt_id, "attempt": attempt, "of": of}
    symbol = symbol_in(halt.scope)
    if symbol is not None:
        params["symbol"] = symbol
    return bot_command(state, account, now, bot, command, command_id=command_id, cause=halt.halt_id, params=params)


def bot_command(
    state: State,
    account: str,
    now: datetime,
    bot: str,
    command: Command,
    *,
    command_id: str,
    cause: str,
    params: Mapping[str, object],
) -> Fact:
    """A BOT_COMMAND to be done within `kill.flat_within_s`."""
    assert state.rules is not None
    return fact_of(
        BotCommand(
            event_type="BOT_COMMAND",
            account=account,
            source=SERVICE,
            ts=now,
            event_id=command_id,
            cause=cause,
            command_id=command_id,
            bot=bot,
            command=command,
            params=dict(params),
            deadline=now + state.rules.flat_within,
        )
    )


def close_facts(
    state: State, account: str, bots: Sequence[str], symbol: str | None, cause: str, now: datetime, reason: str
) -> list[Fact]:
    """CLOSE_POSITIONS to each of the bots, in answer to the operator's command `cause`; nothing follows it up."""
    params = {"reason": reason} | ({} if symbol is None else {"symbol": symbol})
    close = Command.CLOSE_POSITIONS
    ids = {bot: derived_id(account, SERVICE, cause, "BOT_COMMAND", f"{close}/{bot}") for bot in bots}
    return [
        bot_command(state, account, now, bot, close, command_id=command_id, cause=cause, params=params)
        for bot, command_id in ids.items()
    ]


def due_stages(state: State, now: datetime) -> dict[str, Stage]:
    """The stages that a RISK_STATE has to record: FLAT, or the time that was missed."""
    if not state.kills or state.rules is None:
        return {}
    found = {halt_id: _next(state, halt_id, kill, state.rules, now) for halt_id, kill in state.kills.items()}
    return {halt_id: stage for halt_id, stage in found.items() if stage is not None}


def _next(state: State, halt_id: str, kill: Kill, rules: Rules, now: datetime) -> Stage | None:
    if kill.turns >= TURNS_MAX or kill.delivered is None:
        return None
    if kill.acknowledged is None:
        late = kill.refused or now >= kill.delivered.at + rules.ack_within
        return Stage.NOT_ACKNOWLEDGED if late and Stage.NOT_ACKNOWLEDGED not in kill.missed else None
    flat = is_flat(state, state.halts[halt_id].scope)
    if kill.flat is not None:
        return None if flat else Stage.NOT_FLAT
    if flat:
        return Stage.FLAT if kill.turns < TURNS_MAX - 1 else None  # the last word of all may not be that nobody is needed
    late = kill.refused or now >= max(told.deadline for told in kill.told.values())
    return Stage.NOT_FLAT if late and Stage.NOT_FLAT not in kill.missed else None


def needs_a_person(state: State, halts: Iterable[Halt], stages: Mapping[str, Stage] | None = None) -> bool:
    """Whether something has to be closed by hand, with these halts in force and these stages recorded."""
    return any(_by_hand(state, halt, (stages or {}).get(halt.halt_id)) for halt in halts)


def _by_hand(state: State, halt: Halt, stage: Stage | None) -> bool:
    kill = state.kills.get(halt.halt_id)
    if kill is None:
        return halt.cause in HARD and not halt.flatten and not is_flat(state, halt.scope)
    return kill.needs_a_person if stage is None else stage is not Stage.FLAT


def due_anomalies(state: State, account: str, now: datetime) -> list[Fact]:
    """One ANOMALY for every time that was missed, with who did not answer what, and what is open."""
    return [
        _anomaly(state, account, halt_id, kill, stage, now)
        for halt_id, kill in state.kills.items()
        for stage in kill.missed
        if stage not in kill.reported
    ]


def _anomaly(state: State, account: str, halt_id: str, kill: Kill, stage: str, now: datetime) -> Fact:
    halt = state.halts[halt_id]
    missed = kill.missed[stage]
    return fact_of(
        Anomaly(
            event_type="ANOMALY",
            account=account,
            source=SERVICE,
            ts=now,
            event_id=derived_id(account, SERVICE, missed.evidence, "ANOMALY", f"{stage}/{halt_id}"),
            cause=halt_id,
            kind=stage,
            evidence={
                "halt_id": halt_id,
                "scope": halt.scope,
                "cause": halt.cause,
                "since": format_ts(missed.at),
                "commands": [
                    {"bot": told.bot, "command": told.command, "answer": told.answer or None, "detail": told.detail}
                    for told in kill.newest()
                ],
                "open": open_in(state, halt.scope)[:OPEN_SHOWN_MAX],
            },
        )
    )
