"""Carrying out commands, one after the other, each once; answered ACCEPTED, then DONE or FAILED."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fleet_contracts import AckState, BotAck, BotCommand, Command
from fleet_sdk.core.commands import Commands, CommandState, Take
from fleet_sdk.errors import SpoolError
from fleet_sdk.id_journal import IdJournal
from fleet_sdk.voice import Voice

HANDLER_S_MAX = 120.0
QUEUE_MAX = 256
_log = logging.getLogger(__name__)

Answer = AckState | tuple[AckState, str] | BotAck | None
"""What a handler returns. None: DONE. ACCEPTED: it goes on, and `bot.ack` will tell."""
Handler = Callable[[BotCommand], Answer | Awaitable[Answer]]


class Commander:
    """The commands of a bot. `handler` is the bot's; a function that is not a coroutine runs in a thread of its own."""

    def __init__(self, bot: str, voice: Voice, memory: IdJournal, report_order: Callable[[str], bool]) -> None:
        self._voice, self._memory, self._report_order = voice, memory, report_order
        self._commands = Commands(bot, {command_id: CommandState(word) for command_id, word in memory.words.items()})
        self._queue: asyncio.Queue[BotCommand] = asyncio.Queue(QUEUE_MAX)
        self._unsaid: dict[str, tuple[AckState, str | None]] = {}
        self.handler: Handler | None = None

    def offer(self, commands: Iterable[BotCommand]) -> None:
        """Take what is new. What does not fit in the queue comes again with the next state."""
        for command_id, (state, detail) in list(self._unsaid.items()):
            self._finish(command_id, state, detail)
        for command in commands:
            match self._commands.take(command, self._voice.now()):
                case Take.START if not self._queue.full():
                    self._begin(command)
                case Take.INTERRUPTED:
                    self._finish(command.command_id, AckState.FAILED, "interrupted by a restart of the bot; ask again")
                case _:
                    pass

    def ack(self, command_id: str, state: AckState, detail: str | None = None) -> int | None:
        """Answer a command whose handler said ACCEPTED. Returns the event's number in the journal."""
        if state is AckState.ACCEPTED:
            return self._say(command_id, state, detail)
        return self._finish(command_id, state, detail)

    async def carry_out_all(self) -> None:
        """Carry out what is queued, for ever."""
        while True:
            await self._carry_out(await self._queue.get())

    async def carry_out_queued(self) -> None:
        """Carry out what is queued now."""
        while not self._queue.empty():
            await self._carry_out(self._queue.get_nowait())

    def _begin(self, command: BotCommand) -> None:
        """Written down before it is done: a command may be done once, not twice."""
        try:
            self._memory.write(command.command_id, CommandState.STARTED)
        except OSError as error:
            _log.error("command %s waits: it cannot be written down (%s)", command.command_id, error)
            return
        self._commands.started(command.command_id)
        self._queue.put_nowait(command)

    async def _carry_out(self, command: BotCommand) -> None:
        _log.info("command %s: %s", command.command_id, command.command)
        self._say(command.command_id, AckState.ACCEPTED, None)
        try:
            async with asyncio.timeout(HANDLER_S_MAX):
                state, detail = _answer(await self._do(command))
        except TimeoutError:
            state, detail = AckState.FAILED, f"the bot's handler took longer than {HANDLER_S_MAX:.0f} s"
        except Exception as error:  # noqa: BLE001 - the handler is the bot's: whatever it raises is its answer
            _log.warning("command %s failed", command.command_id, exc_info=error)
            state, detail = AckState.FAILED, f"{type(error).__name__}: {error}"[:1000]
        if state is not AckState.ACCEPTED:
            self._finish(command.command_id, state, detail)

    async def _do(self, command: BotCommand) -> Any:
        order_id = command.params.get("order_id")
        if command.command is Command.REPORT_ORDER and isinstance(order_id, str) and self._report_order(order_id):
            return AckState.DONE, "never sent"
        if self.handler is None:
            return AckState.FAILED, f"this bot has no handler for commands, and the SDK alone cannot answer {command.command}"
        if inspect.iscoroutinefunction(self.handler):
            return await self.handler(command)
        answer = await asyncio.to_thread(self.handler, command)
        return await answer if inspect.isawaitable(answer) else answer

    def _finish(self, command_id: str, state: AckState, detail: str | None) -> int | None:
        n = self._say(command_id, state, detail)
        if n is None:
            self._unsaid[command_id] = (state, detail)
            return None
        self._unsaid.pop(command_id, None)
        self._commands.finished(command_id, state)
        try:
            self._memory.write(command_id, CommandState(state.value))
        except OSError as error:
            _log.error("that command %s is %s is not written down: %s", command_id, state, error)
        return n

    def _say(self, command_id: str, state: AckState, detail: str | None) -> int | None:
        fields = {"command_id": command_id, "state": state, "detail": detail}
        try:
            return self._voice.say(self._voice.event("BOT_ACK", fields), reserved=True)
        except SpoolError as error:
            _log.error("the answer %s to command %s is not recorded: %s", state, command_id, error)
            return None


def _answer(answer: Any) -> tuple[AckState, str | None]:
    """What the handler returned. Raises TypeError for anything else."""
    match answer:
        case None:
            return AckState.DONE, None
        case AckState():
            return answer, None
        case (state, detail):
            return AckState(state), str(detail)
        case BotAck():
            return answer.state, answer.detail
        case str():
            return AckState(answer), None
        case _:
            raise TypeError(f"a command handler returns an AckState, (AckState, detail) or None, not {answer!r}")
