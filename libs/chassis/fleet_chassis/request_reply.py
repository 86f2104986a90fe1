"""A request door over NATS: takes requests of one subject while it is open, and hands each over without waiting.

Leaders open their doors and close them when they step down; no responder then means to the asker that nobody leads.
Answers go out only to reply subjects the server made for an asker: a stream's subject is never one (DESIGN §2).
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

REPLIES = ("_R_.", "_INBOX.")
"""What a reply subject begins with: a bot's, made by the server on the way between accounts, and a service's."""
REQUESTS_MAX = 8192
"""Requests that wait for the event loop; more are dropped, and their askers give up at their own deadline."""
REQUEST_BYTES_MAX = 64 * 1024**2
ANSWERS_MAX = 8192
"""Answers that wait to be sent; over it the oldest goes, whose asker is the nearest to giving up."""
_log = logging.getLogger(__name__)


class Request:
    """One request: its subject, its body, and `answer`, which may be called once, from anywhere in the event loop."""

    __slots__ = ("_door", "_reply", "body", "subject")

    def __init__(self, door: "RequestDoor", subject: str, body: bytes, reply: str) -> None:
        self.subject, self.body = subject, body
        self._door, self._reply = door, reply

    def answer(self, body: bytes) -> None:
        """Queue the answer. Never raises, never waits: an asker that cannot be reached any more has given up already."""
        reply, self._reply = self._reply, ""
        if reply:
            self._door.queue(reply, body)


class RequestDoor:
    """`run()` it beside the service's other tasks; `open()` and `close()` may be called from callbacks at any time.

    `on_request` must return at once. What it raises ends `run()`: a programmer's error is a crash.
    """

    def __init__(self, client: Client, subject: str, on_request: Callable[[Request], None]) -> None:
        self.refused = 0
        self._client, self._subject, self._on_request = client, subject, on_request
        self._wanted = False
        self._subscription: Subscription | None = None
        self._answers: deque[tuple[str, bytes]] = deque(maxlen=ANSWERS_MAX)
        self._work: asyncio.Future[None] | None = None
        self._due = False
        self._failure: Exception | None = None

    def open(self) -> None:
        """Take requests from now on."""
        self._wanted = True
        self._wake()

    def close(self) -> None:
        """Take no more; what was taken may still be answered."""
        self._wanted = False
        self._wake()

    def queue(self, reply: str, body: bytes) -> None:
        """An answer for `run()` to send; while NATS is away it is dropped, for its asker is away too."""
        if self._client.is_connected:
            self._answers.append((reply, body))
            self._wake()

    async def run(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                if not self._due:
                    self._work = loop.create_future()
                    await self._work
                self._due = False
                if self._failure is not None:
                    raise self._failure
                await self._subscribe_or_not()
                await self._send()
        finally:
            self._wanted = False
            await self._subscribe_or_not()

    def _wake(self) -> None:
        """There is something to do. (A future: an event asks for the running loop each time, which is a system call.)"""
        self._due = True
        if self._work is not None and not self._work.done():
            self._work.set_result(None)

    async def _subscribe_or_not(self) -> None:
        if self._wanted and self._subscription is None:
            self._subscription = await self._client.subscribe(
                self._subject, cb=self._take, pending_msgs_limit=REQUESTS_MAX, pending_bytes_limit=REQUEST_BYTES_MAX
            )
        elif not self._wanted and self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()

    async def _send(self) -> None:
        while self._answers:
            reply, body = self._answers.popleft()
            try:
                await self._client.publish(reply, body)
            except NatsError as error:
                _log.info("an answer was not sent (%s)", error or type(error).__name__)

    async def _take(self, message: Msg) -> None:
        if not self._wanted:
            return
        if not message.reply.startswith(REPLIES):
            self.refused += 1
            return
        try:
            self._on_request(Request(self, message.subject, message.data, message.reply))
        except Exception as error:  # noqa: BLE001 - nats-py would only note it; run() makes it the crash it is
            self._failure = error
            self._wake()
