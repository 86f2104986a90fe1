"""What the fleet says of this bot, asked every second; and the latch files, looked at four times a second."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from fleet_contracts import BotCommand, Mode
from fleet_contracts.subjects import state_subject
from fleet_sdk.bus import Bus
from fleet_sdk.core.local import Standing
from fleet_sdk.core.state import POLLS_UNTIL_STALE, BotState, read_state
from fleet_sdk.latch import Latches
from fleet_sdk.settings import BotSettings

LATCH_S = 0.25
_POLL_AGAIN_S = 0.1
_POKE_S = 0.05
_log = logging.getLogger(__name__)


class Watch:
    """`on_commands` gets the open commands of every answer. `now`: monotonic seconds."""

    def __init__(
        self,
        settings: BotSettings,
        bus: Bus,
        latches: Latches,
        now: Callable[[], float],
        on_commands: Callable[[Iterable[BotCommand]], None],
    ) -> None:
        self._settings, self._bus, self._latches, self._now = settings, bus, latches, now
        self._on_commands = on_commands
        self._state = BotState()
        self._heard_at: float | None = None
        self._poke = asyncio.Event()
        self._first = asyncio.Event()
        self._subject = state_subject(settings.account, settings.bot)
        self.mode: Mode = settings.mode
        """The mode the bot says it runs in."""

    @property
    def state(self) -> BotState:
        """The newest known state; `stale` when the last answers are missing."""
        if self._heard_at is None or self._state.stale:
            return self._state
        old = not self._settings.stepped and self._now() - self._heard_at > POLLS_UNTIL_STALE * self._settings.state_s
        return replace(self._state, stale=True) if old else self._state

    @property
    def halted(self) -> bool:
        """Nothing that adds risk may be sent, by what is known: a latch file, or the newest state, however old."""
        return self.latched() or self._state.stops_openings

    def latched(self, symbol: str | None = None) -> bool:
        """Whether a latch file stops the bot, or its orders in a symbol. In virtual time as of the last step."""
        return self._latches.reach(symbol) if self._settings.stepped else self._latches.latched(symbol, LATCH_S)

    def standing(self, symbol: str) -> Standing:
        """What counts for orders in a symbol when the gateway is away."""
        settings = self._settings
        halted = self.latched(symbol) or self._state.stops(symbol)
        return Standing(self.mode, self._state.mode, halted, settings.fail_policy, settings.reduce_only_when_away)

    async def wait_known(self) -> None:
        """Until the first answer."""
        await self._first.wait()

    def poke(self) -> None:
        """Something has changed: ask at once."""
        self._poke.set()

    def look(self) -> None:
        """Look at the latch files now."""
        self._latches.look()

    async def poll(self, timeout_s: float) -> bool:
        """Ask once. False: no answer."""
        body = await self._bus.ask(self._subject, b"{}", timeout_s)
        if body is None:
            return False
        answer = read_state(body, self._settings.account, self._settings.bot)
        if answer is None or answer.bad_commands:
            _log.warning("an answer about this bot's state cannot be read: %s", body[:200])
        if answer is None:
            return False
        if answer.state.stops_openings and not self._state.stops_openings:
            _log.warning("halted: %s", ", ".join(halt.cause for halt in answer.state.halts) or answer.state.trading_state)
        self._state = answer.state
        self._heard_at = self._now()
        self._first.set()
        self._on_commands(answer.commands)
        return True

    async def poll_until(self, timeout_s: float) -> bool:
        """Ask until there is an answer or the time is up."""
        deadline = self._now() + timeout_s
        while (left := deadline - self._now()) > 0:
            if await self.poll(min(left, 2.0)):
                return True
            await asyncio.sleep(min(_POLL_AGAIN_S, max(0.0, deadline - self._now())))
        return False

    async def poll_all(self) -> None:
        """Ask every second, and soon after a poke, for ever."""
        interval_s = self._settings.state_s
        while True:
            started = self._now()
            self._poke.clear()
            await self.poll(interval_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, interval_s - (self._now() - started))):
                    await self._poke.wait()
                    await asyncio.sleep(_POKE_S)

    async def look_all(self) -> None:
        """Look at the latch files, for ever."""
        while True:
            self._latches.look()
            await asyncio.sleep(LATCH_S)
