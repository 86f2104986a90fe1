"""What the bot has to say, kept until the bus has it: spool first, then the wire, in order, one event in flight."""

import asyncio
import contextlib
import logging
import os

from fleet_sdk.bus import Bus
from fleet_sdk.core.outbox import Outbox, Outcome, read_ack
from fleet_sdk.spool import Spool

ACK_S = 2.0
_BACKOFF_S = 0.05
_BACKOFF_S_MAX = 2.0
_log = logging.getLogger(__name__)


class Journal:
    """Single owner, on one event loop. `record` is durable against a killed process when it returns."""

    def __init__(self, spool: Spool, bus: Bus, source: str, fsync_s: float) -> None:
        self._spool, self._bus, self._fsync_s = spool, bus, fsync_s
        self._outbox = Outbox(source)
        self._more = asyncio.Event()
        self._moved = asyncio.Condition()
        self._trouble: str | None = None
        self._gone = 0
        """The number of the newest event the bus has stored."""
        for record in spool.recovered:
            self._outbox.append(record, maybe_sent=True)
        self._newest = spool.recovered[-1].n if spool.recovered else 0
        if spool.recovered:
            _log.info("%d events of an earlier process go out first", len(spool.recovered))
            self._more.set()

    @property
    def waiting(self) -> int:
        """Events without a PubAck."""
        return len(self._outbox)

    @property
    def last_seq(self) -> int:
        """The newest FLEET sequence of this bot's PubAcks; 0 before the first."""
        return self._outbox.last_seq

    def record(self, subject: str, event_id: str, body: bytes, *, reserved: bool = False) -> int:
        """Take an event: written down, then sent behind all others. Returns its number. Raises `SpoolError`."""
        record = self._spool.append(subject, event_id, body, reserved=reserved)
        self._outbox.append(record)
        self._newest = record.n
        self._more.set()
        return record.n

    async def arrived(self, n: int, timeout_s: float) -> bool:
        """Wait until the bus has stored event `n` and all before it; False when that takes longer."""
        try:
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(lambda: self._gone >= n)
        except TimeoutError:
            return False
        return True

    async def flush(self, timeout_s: float) -> bool:
        """Wait until nothing recorded so far is waiting; False when that takes longer."""
        return not len(self._outbox) or await self.arrived(self._newest, timeout_s)

    async def send_all(self) -> None:
        """Send for ever, in order."""
        backoff_s = _BACKOFF_S
        while True:
            if self._outbox.head is None:
                self._more.clear()
                await self._more.wait()
            await self._bus.wait_connected()
            outcome = await self._send_head()
            if outcome in (Outcome.STORED, Outcome.FOREIGN_ID):
                backoff_s = _BACKOFF_S
            else:
                await asyncio.sleep(backoff_s)
                backoff_s = min(backoff_s * 2, _BACKOFF_S_MAX)

    async def sync_all(self) -> None:
        """Tidy and fsync the spool now and then, off the loop, for ever."""
        while True:
            await asyncio.sleep(self._fsync_s)
            self._spool.tidy()
            fd = self._spool.handle_to_sync()
            if fd is not None:
                await asyncio.to_thread(_sync, fd)

    async def _send_head(self) -> Outcome | None:
        record, headers = self._outbox.sending()
        body = await self._bus.ask(record.subject, record.body, ACK_S, headers or None)
        ack = read_ack(body) if body is not None else None
        if ack is None:
            self._complain("no answer")
            return None
        outcome = self._outbox.answered(ack)
        match outcome:
            case Outcome.STORED:
                await self._stored(record.n)
            case Outcome.REFUSED:
                self._complain(ack.error)
            case Outcome.FOREIGN_ID:
                _log.warning("the Nats-Msg-Id of %s is taken by another sender; it is sent without one", record.event_id)
        return outcome

    async def _stored(self, n: int) -> None:
        self._trouble = None
        self._spool.acked(n)
        async with self._moved:
            self._gone = n
            self._moved.notify_all()

    def _complain(self, trouble: str | None) -> None:
        """Once for each kind of trouble; it tries again several times a second."""
        if trouble != self._trouble:
            self._trouble = trouble
            _log.warning("the journal takes nothing (%s): %d events wait", trouble, len(self._outbox))


def _sync(fd: int) -> None:
    try:
        with contextlib.suppress(OSError):
            os.fsync(fd)
    finally:
        os.close(fd)
