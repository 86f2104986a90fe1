"""Signs of life, and prices: sent now or not at all, never late."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from fleet_contracts import Mode, event_subject
from fleet_sdk.bus import Bus
from fleet_sdk.settings import BotSettings
from fleet_sdk.voice import Voice, line_of

_MARK_AGE_S_MAX = 1.0
_MARKS_MAX = 1_000
_LAG_SAMPLE_S = 0.1


class Pulse:
    """Heartbeats with progress, and MARKs, the newest of each symbol. `now`: monotonic seconds; `mode`: as the bot runs."""

    def __init__(
        self, settings: BotSettings, bus: Bus, voice: Voice, now: Callable[[], float], mode: Callable[[], Mode]
    ) -> None:
        self._settings, self._bus, self._voice, self._now, self._mode = settings, bus, voice, now, mode
        self._progress: dict[str, Any] = {}
        self._started = now()
        self._seq = 0
        self._lag_s = 0.0
        self._marks: dict[str, tuple[float, bytes]] = {}
        self._more_marks = asyncio.Event()

    def progress(self, **fields: Any) -> None:
        """Remember for the heartbeats to come. Raises `InvalidEvent` for what a heartbeat cannot carry."""
        merged = {**self._progress, **{name: value for name, value in fields.items() if value is not None}}
        line_of(self._voice.event("HEARTBEAT", merged))
        self._progress = merged

    def mark(self, fields: dict[str, Any]) -> None:
        """A symbol's prices now; an older one not yet sent is replaced. Raises `InvalidEvent`."""
        event = self._voice.event("MARK", fields)
        if len(self._marks) >= _MARKS_MAX:
            self._marks.clear()
        self._marks[fields["symbol"]] = (self._now(), line_of(event))
        self._more_marks.set()

    async def beat_all(self) -> None:
        """One heartbeat per interval, for ever."""
        subject = event_subject(self._settings.account, "HEARTBEAT", self._settings.bot)
        due = self._now()
        while True:
            if self._bus.connected:
                await self._bus.publish(subject, self._heartbeat())
            due = max(due + self._settings.heartbeat_s, self._now())
            await asyncio.sleep(max(0.0, due - self._now()))

    async def measure_lag(self) -> None:
        """How late the event loop gets to things: the worst since the last heartbeat, for ever."""
        while True:
            before = self._now()
            await asyncio.sleep(_LAG_SAMPLE_S)
            self._lag_s = max(self._lag_s, self._now() - before - _LAG_SAMPLE_S)

    async def send_marks(self) -> None:
        """Send the newest mark of each symbol as they come, for ever; what is older than a second is dropped."""
        subject = event_subject(self._settings.account, "MARK", self._settings.bot)
        while True:
            await self._more_marks.wait()
            self._more_marks.clear()
            marks, self._marks = self._marks, {}
            for taken_at, line in marks.values():
                if self._bus.connected and self._now() - taken_at <= _MARK_AGE_S_MAX:
                    await self._bus.publish(subject, line)

    def _heartbeat(self) -> bytes:
        settings = self._settings
        self._seq += 1
        lag_s, self._lag_s = self._lag_s, 0.0
        event = self._voice.event(
            "HEARTBEAT",
            {
                "instance": settings.instance or f"{settings.bot}-1",
                "version": settings.version,
                "profile": settings.profile,
                **self._progress,
                "mode": self._mode(),
                "pid": os.getpid(),
                "seq": self._seq,
                "uptime_s": round(self._now() - self._started, 3),
                "loop_lag_ms": round(max(0.0, lag_s) * 1000, 3),
            },
        )
        return line_of(event)
