"""One connection to NATS, by nkey, that never gives up, never hangs, and whose callbacks never raise.

nats-py swallows a cancellation while it waits for room in its send buffer (`Client._flush_pending`), so that a time-out
around a publish could be lost and the wait be for ever. Hence `pending_size=0`: it never waits for room, and a publish
while disconnected is an error at once and not a stale message later. What is sent beside that asks `has_room` first.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from nats.errors import Error as NatsError

from fleet_chassis.config import ConfigError
from fleet_chassis.nats_client import NO_HEADERS
from fleet_chassis.nats_client import Client as Client

CONNECT_TIMEOUT_S = 2
RETRY_S = 0.25
CLOSE_TIMEOUT_S = 1.0
WATCH_S = 5.0
"""How often the server is asked for a sign of life, and how long it may take: a dead reading task looks connected."""
PENDING_BYTES_MAX = 4 * 1024**2
"""Unsent bytes on a connection whose server does not read: over it nothing more is sent."""
SAME_NOTE_S = 10.0
_log = logging.getLogger(__name__)
T = TypeVar("T")


class NoSeed(ConfigError):
    """The user has no nkey seed file, or it cannot be read."""


def has_room(client: Client) -> bool:
    """Connected, and the server takes what is sent: a message sent now leaves now."""
    return bool(client.is_connected) and int(client.pending_data_size) < PENDING_BYTES_MAX


def send_now(client: Client, subject: str, body: bytes, reply: str = "", headers: bytes = NO_HEADERS) -> bool:
    """Send it if it can leave now; False when not: nothing is kept for later. Never raises, never waits."""
    if not has_room(client):
        return False
    try:
        client.send(subject, body, reply, headers)
    except (NatsError, OSError) as error:
        _log.info("%s was not sent (%s)", subject, error or type(error).__name__)
        return False
    return True


@asynccontextmanager
async def connected(url: str, user: str, seed: Path, *, on_lost: Callable[[], None] | None = None) -> AsyncIterator[Client]:
    """A connection as `user`; waits for the server until cancelled, and reconnects for ever. Raises `NoSeed`.

    `url` may name several servers, with commas. `on_lost` runs when the client has closed for good without being asked
    to: the server does not know the user any more, and only a restart helps.
    """
    key, client = _read(seed), Client()
    callbacks = _Callbacks(client, user, on_lost)
    try:
        await _connect(client, url, user, key, callbacks)
        watch = asyncio.create_task(_watch(client))
        try:
            yield client
        finally:
            watch.cancel()
    finally:
        callbacks.closing = True
        await _close(client)


def _read(seed: Path) -> str:
    try:
        return seed.read_text().strip()
    except OSError as error:
        raise NoSeed(f"{seed}: no NATS key here ({error.strerror}); `supervisor up` makes it") from error


async def _connect(client: Client, url: str, user: str, seed: str, callbacks: "_Callbacks") -> None:
    """With `max_reconnect_attempts=-1` this tries for ever by itself."""
    await client.connect(
        url.split(","),
        name=user,
        nkeys_seed_str=seed,
        inbox_prefix=f"_INBOX.{user}",
        error_cb=callbacks.note,
        disconnected_cb=callbacks.disconnected,
        reconnected_cb=callbacks.reconnected,
        closed_cb=callbacks.closed,
        connect_timeout=CONNECT_TIMEOUT_S,
        max_reconnect_attempts=-1,
        reconnect_time_wait=RETRY_S,
        ping_interval=20,
        max_outstanding_pings=2,
        pending_size=0,
        skip_subject_validation=True,  # ours are made of checked tokens, and a reply's came through the server's own parser
    )


async def _watch(client: Client) -> None:
    """Reconnect when nothing comes back: the reading task has died, or the server is frozen."""
    while True:
        await asyncio.sleep(WATCH_S)
        reconnects = client.stats["reconnects"]
        if not client.is_connected or await _answers(client, WATCH_S) or client.stats["reconnects"] != reconnects:
            continue
        _log.warning("NATS gives no sign of life; connecting anew")
        _abort(client)
        await client.force_reconnect()


async def _answers(client: Client, timeout_s: float) -> bool:
    """The server answers a ping. After a False give the connection up: a late pong would end its reading task."""
    try:
        await heeding(client.rtt(timeout_s))
    except (OSError, NatsError):
        return False
    return True


async def heeding(work: Awaitable[T]) -> T:
    """The client's `request` or `rtt`, heeding a cancellation: they stand on `asyncio.wait_for`, and that of Python 3.11
    swallows one which comes together with the answer. Whoever cancelled would then wait for ever.

    Only a cancellation during `work` counts: what runs because of an earlier one (a close) goes on.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    result = await work
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return result


async def _close(client: Client) -> None:
    """Bounded. A server that answers gets what is still to be sent; a frozen or absent one gets nothing more."""
    if client._transport is None:
        return
    if not client.is_connected or not await _answers(client, CLOSE_TIMEOUT_S):
        client._pending, client._pending_data_size = [], 0
        _abort(client)
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await client.close()


def _abort(client: Client) -> None:
    """Drop the socket with what it holds: a graceful close would wait for a server that does not read."""
    writer = getattr(client._transport, "_io_writer", None)
    if writer is not None:
        writer.transport.abort()


class _Callbacks:
    """What the client tells: logged, never raised. The same words at most every `SAME_NOTE_S`: it tries four times a second."""

    def __init__(self, client: Client, user: str, on_lost: Callable[[], None] | None) -> None:
        self.closing = False
        self._client, self._user, self._on_lost = client, user, on_lost
        self._last = ("", 0.0)

    async def note(self, error: Exception) -> None:
        if not self._client.is_connected:
            _abort(self._client)  # it would forget the socket of the attempt that has failed, and not close it
        text, now = str(error) or type(error).__name__, asyncio.get_running_loop().time()
        if text != self._last[0] or now - self._last[1] >= SAME_NOTE_S:
            self._last = (text, now)
            _log.warning("NATS, as %s: %s", self._user, text)

    async def disconnected(self) -> None:
        if not self.closing:
            _log.warning("NATS is away")

    async def reconnected(self) -> None:
        _log.info("NATS is back")

    async def closed(self) -> None:
        if self.closing:
            return
        _log.error("the NATS connection of %s is closed for good", self._user)
        if self._on_lost is not None:
            self._on_lost()
