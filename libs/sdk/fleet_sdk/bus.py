"""The connection to NATS: one client object per connection, made anew whenever the last one is lost or silent.

Nothing is kept in the client while the bus is away: what may be late is in the spool, what may not is not sent.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from fleet_sdk.settings import BotSettings

_CONNECT_S = 3.0
_RETRY_S = 0.1
_RETRY_S_MAX = 1.0
_WATCH_S = 2.0
_PONG_S = 2
_TOKENS_MAX = 10_000
NO_RESPONDERS = "503"
_log = logging.getLogger(__name__)

Heard = Callable[[bytes | None], None]
"""Takes a reply's body; None: nobody listens there. Called on the loop; must not raise."""


class Bus:
    """Connects for ever until cancelled. `subscriptions`: subject → what to do with a message's subject and body."""

    def __init__(self, settings: BotSettings, subscriptions: Mapping[str, Callable[[str, bytes], None]]) -> None:
        self._settings = settings
        self._subscriptions = subscriptions
        self._client: Client | None = None
        self._inbox = ""
        self._replies: dict[str, Heard] = {}
        self._count = 0
        self._lost = asyncio.Event()
        self._up = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._client is not None and bool(self._client.is_connected)

    async def wait_connected(self) -> None:
        """Until there is a connection."""
        await self._up.wait()

    async def publish(self, subject: str, body: bytes) -> bool:
        """Send once, for whoever listens. False without a connection."""
        return await self._send(subject, body, "", None)

    async def send(self, subject: str, body: bytes, heard: Heard, headers: dict[str, str] | None = None) -> str | None:
        """Ask: `heard` gets every reply until `forget` is called with the token returned. None without a connection."""
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
        reply: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

        def heard(answer: bytes | None) -> None:
            if not reply.done():
                reply.set_result(answer)

        token = await self.send(subject, body, heard, headers)
        if token is None:
            return None
        try:
            async with asyncio.timeout(timeout_s):
                return await reply
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
        self._client = client
        self._up.set()

    async def _watch(self, client: Client) -> None:
        """Until the connection is lost, or does not answer a ping: a dead read loop looks connected for ever."""
        while not self._lost.is_set() and not client.is_closed:
            try:
                await client.rtt(_PONG_S)
            except (OSError, nats.errors.Error, TimeoutError):
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_S):
                    await self._lost.wait()

    async def _send(self, subject: str, body: bytes, reply: str, headers: dict[str, str] | None) -> bool:
        client = self._client
        if client is None:
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
            nobody = message.headers is not None and message.headers.get("Status") == NO_RESPONDERS
            heard(None if nobody else message.data)

    async def _closed(self) -> None:
        self._lost.set()


def _listener(handler: Callable[[str, bytes], None]) -> Callable[[Msg], Awaitable[None]]:
    async def on_message(message: Msg) -> None:
        handler(message.subject, message.data)

    return on_message


async def _note(error: Exception) -> None:
    _log.warning("the bus says: %s", error or type(error).__name__)


async def _close(client: Client) -> None:
    """Close whatever state it is in, within a bound: a peer that reads nothing must not hold us up."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(_CONNECT_S):
            await client.close()
    except (OSError, nats.errors.Error, TimeoutError) as error:
        _log.info("closing took %.1f s: %s", time.monotonic() - started, error or type(error).__name__)
