"""What the gateway reads beside the fold: who is alive (HEARTBEAT) and what the market says (MARKET). Never state."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from fleet_chassis.clock import Clock
from fleet_chassis.log import Log, LogUnavailable, Message
from fleet_contracts import FLEET_ACCOUNT, Event, Heartbeat, Mark, Provenance, Reason, parse
from fleet_contracts.subjects import SubjectError, split_subject

RETRY_S = 0.5
READ_TIMEOUT_S = 2.0
SOURCES_MAX = 10_000
_log = logging.getLogger(__name__)
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Beat:
    """The newest heartbeat of a source in an account, and when the stream took it (UTC)."""

    account: str
    at: datetime
    event: Heartbeat


class Beats:
    """Newest heartbeat of every bot, and of every instance of a service."""

    def __init__(self) -> None:
        self.newest: dict[str, Beat] = {}
        self.services: dict[tuple[str, str], Beat] = {}
        """By service and instance."""

    def take(self, account: str, source: str, event: Event, at: datetime) -> None:
        """A listener of `watch`."""
        if not isinstance(event, Heartbeat):
            return
        if account == FLEET_ACCOUNT:
            _keep(self.services, (source, event.instance or source), Beat(account, at, event))
        else:
            _keep(self.newest, source, Beat(account, at, event))

    def age_s(self, source: str, now: datetime) -> float | None:
        """Seconds since the newest heartbeat arrived; None when none has since this process started."""
        beat = self.newest.get(source)
        return None if beat is None else (now - beat.at).total_seconds()


def _keep(beats: dict[K, Beat], key: K, beat: Beat) -> None:
    if key in beats or len(beats) < SOURCES_MAX:
        beats[key] = beat


class Marks:
    """Newest MARK by (account, symbol); one too old is none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._newest: dict[tuple[str, str], tuple[datetime, Mark]] = {}

    def take(self, account: str, source: str, event: Event, at: datetime) -> None:
        """A listener of `watch`. `observed_at` = min(ts, arrival); an older observation never replaces a newer one."""
        if not isinstance(event, Mark):
            return
        observed = min(event.ts, at) if event.ts else at
        key = (account, event.symbol)
        known = self._newest.get(key)
        if (known is None and len(self._newest) < SOURCES_MAX) or (known is not None and observed >= known[0]):
            self._newest[key] = (observed, event)

    def fresh(self, account: str, symbol: str, age_max: timedelta) -> Mark | None:
        """The symbol's mark, if it is young enough to count."""
        known = self._newest.get((account, symbol))
        return known[1] if known is not None and self._clock() - known[0] <= age_max else None


@dataclass(frozen=True, slots=True)
class Inputs:
    """What decisions read beside the fold."""

    mark: Callable[[str, str, timedelta], Mark | None]
    """(account, symbol, age at most) → the symbol's MARK, if it is that young."""
    beat_age_s: Callable[[str], float | None]
    """bot → seconds since its newest heartbeat arrived."""
    shut: Callable[[str], Reason | None] | None
    """bot → why it may not open now by supervisor.yaml."""
    shadow_file: Path
    """Where a candidate set of limits may stand."""


Take = Callable[[str, str, Event, datetime], None]


async def watch(log: Log, stream: str, subjects: str, take: Take) -> None:
    """Follow a stream from its present end, for ever; bad lines are passed over."""
    start = await _end(log, subjects)
    async for batch in log.read(start + 1, [subjects]):
        for message in batch:
            _hand_over(stream, message, take)


async def _end(log: Log, subjects: str) -> int:
    while True:
        try:
            last = await log.last(subjects, timeout_s=READ_TIMEOUT_S)
            return last.seq if last is not None else 0
        except LogUnavailable:
            await asyncio.sleep(RETRY_S)


def _hand_over(stream: str, message: Message, take: Take) -> None:
    try:
        address = split_subject(message.subject)
    except SubjectError:
        return
    for line in parse(message.subject, message.body, Provenance(stream, message.seq, message.at)).lines:
        take(address.account, address.source, line.event, message.at)
