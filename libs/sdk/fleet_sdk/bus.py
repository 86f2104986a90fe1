"""The connection to NATS: one client object per connection, made anew whenever the last one is lost or silent.

Nothing is kept in the client while the bus is away: what may be late is in the spool, what may not is not sent.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from fleet_sdk.settings import BotSettings

_CONNECT_S = 3.0
_RETRY_S = 0.1
_RETRY_S_MAX = 1.0
_WATCH_S = 2.0
_PONG_S = 2
_CLOSE_S = 1.0
_TOKENS_MAX = 10_000
_UNSENT_BYTES_MAX = 4 * 1024 * 1024
"""What may wait for a server that does not read; over it nothing more is sent."""
_NO_RESPONDERS = "503"
_log = logging.getLogger(__name__)


class Silence(Enum):
    """Instead of a reply."""

    NOBODY_LISTENS = "nobody listens"
    LOST = "the connection is lost"


Reply = bytes | Silence
Heard = Callable[[Reply], None]
"""Takes a reply's body, or why there will be none. Called on the loop; must not raise."""


class Bus:
    """Connects for ever until cancelled. `subscriptions`: subject → what to do with a message's subject and body."""

    def __init__(
        self,
        settings: BotSettings,
        subscriptions: Mapping[str, Callable[[str, bytes], None]],
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._subscriptions = subscriptions
        self._on_connected = on_connected
        self._client: Client | None = None
        self._inbox = ""
        self._replies: dict[str, Heard] = {}
        self._count = 0
        self._since = 0.0
        self._lost = asyncio.Event()
        self._up = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._client is not None and bool(self._client.is_connected)

    @property
    def connected_s(self) -> float:
        """For how long there has been a connection without a break, in seconds; 0 when there is none."""
        return time.monotonic() - self._since if self.connected else 0.0

    async def wait_connected(self) -> None:
        """Until there is a connection."""
        await self._up.wait()

    async def publish(self, subject: str, body: bytes) -> bool:
        """Send once, for whoever listens. False without a connection."""
        return await self._send(subject, body, "", None)

    async def send(self, subject: str, body: bytes, heard: Heard, headers: dict[str, str] | None = None) -> str | None:
        """Ask: `heard` gets every reply until `forget` is called with the token returned, and LOST when the connection
        goes. None without a connection.
        """
        self._count += 1
        token = str(self._count)
        self._replies[token] = heard
        while len(self._replies) > _TOKENS_MAX:
            del self._replies[next(iter(self._replies))]
        if await self._send(subject, body, f"{self._inbox}.{token}", headers):
            return token
        self._replies.pop(token, None)
        return None

    def forget(self, token: str) -> None:
        """No more replies are wanted."""
        self._replies.pop(token, None)

    async def ask(self, subject: str, body: bytes, timeout_s: float, headers: dict[str, str] | None = None) -> bytes | None:
        """Ask once: the first reply's body; None when there is none in time, or nobody listens, or no connection."""
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def heard(answer: Reply) -> None:
            if not reply.done():
                reply.set_result(answer)

        token = await self.send(subject, body, heard, headers)
        if token is None:
            return None
        try:
            async with asyncio.timeout(timeout_s):
                answer = await reply
                return answer if isinstance(answer, bytes) else None
        except TimeoutError:
            return None
        finally:
            self.forget(token)

    async def run(self) -> None:
        """Hold a connection until cancelled."""
        wait_s = _RETRY_S
        trouble = ""
        while True:
            self._lost.clear()
            client = Client()
            try:
                async with asyncio.timeout(_CONNECT_S):
                    await self._connect(client)
                wait_s, trouble = _RETRY_S, ""
                _log.info("connected to the bus")
                await self._watch(client)
                _log.warning("the bus is away")
            except (OSError, nats.errors.Error, TimeoutError) as error:
                if trouble != (trouble := str(error) or type(error).__name__):
                    _log.warning("the bus at %s does not answer: %s", self._settings.nats_url, trouble)
            finally:
                self._client = None
                self._up.clear()
                for heard in list(self._replies.values()):
                    heard(Silence.LOST)
                await _close(client)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _RETRY_S_MAX)

    async def _connect(self, client: Client) -> None:
        settings = self._settings
        await client.connect(
            settings.nats_url.split(","),
            name=settings.bot,
            nkeys_seed=str(settings.nkey_seed) if settings.nkey_seed is not None else None,
            inbox_prefix=f"_INBOX.{settings.bot}",
            error_cb=_note,
            closed_cb=self._closed,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0.05,
            connect_timeout=2,
            ping_interval=20,
            max_outstanding_pings=2,
            pending_size=0,
        )
        self._inbox = client.new_inbox()
        await client.subscribe(f"{self._inbox}.*", cb=self._on_reply)
        for subject, handler in self._subscriptions.items():
            await client.subscribe(subject, cb=_listener(handler))
        self._client, self._since = client, time.monotonic()
        self._up.set()
        self._on_connected()

    async def _watch(self, client: Client) -> None:
        """Until the connection is lost, or does not answer a ping: a dead read loop looks connected for ever."""
        while not self._lost.is_set() and not client.is_closed:
            try:
                await client.rtt(_PONG_S)
            except (OSError, nats.errors.Error, TimeoutError):
                return
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError  # swallowed by Python 3.11's wait_for when it came together with the pong
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_S):
                    await self._lost.wait()

    async def _send(self, subject: str, body: bytes, reply: str, headers: dict[str, str] | None) -> bool:
        client = self._client
        if client is None or client.pending_data_size > _UNSENT_BYTES_MAX:
            return False
        try:
            await client.publish(subject, body, reply=reply, headers=headers)
        except (OSError, nats.errors.Error) as error:
            _log.info("not sent: %s", error or type(error).__name__)
            return False
        return True

    async def _on_reply(self, message: Msg) -> None:
        heard = self._replies.get(message.subject.rsplit(".", 1)[1])
        if heard is not None:
            nobody = message.headers is not None and message.headers.get("Status") == _NO_RESPONDERS
            heard(Silence.NOBODY_LISTENS if nobody else message.data)

    async def _closed(self) -> None:
        self._lost.set()


def _listener(handler: Callable[[str, bytes], None]) -> Callable[[Msg], Awaitable[None]]:
    async def on_message(message: Msg) -> None:
        handler(message.subject, message.data)

    return on_message


async def _note(error: Exception) -> None:
    _log.warning("the bus says: %s", error or type(error).__name__)


async def _close(client: Client) -> None:
    """Drop the socket with what it still holds (all that matters has its PubAck): a frozen server must not hold us up."""
    client._pending, client._pending_data_size = [], 0
    writer = getattr(client._transport, "_io_writer", None)
    if writer is not None:
        writer.transport.abort()
    with contextlib.suppress(OSError, nats.errors.Error, TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            await client.close()
