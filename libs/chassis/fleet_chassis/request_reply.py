"""A request door over NATS: takes requests of one subject while it is open, and hands each over without waiting.

Leaders open their doors and close them when they step down; no responder then means to the asker that nobody leads.
Answers go out only to reply subjects the server made for an asker: a stream's subject is never one (DESIGN §2).
"""

import asyncio
import contextlib
from collections.abc import Callable

from nats.errors import Error as NatsError

from fleet_chassis.nats_client import Client, Listening
from fleet_chassis.nats_connection import send_now

REPLIES = ("_R_.", "_INBOX.")
"""What a reply subject begins with: a bot's, made by the server on the way between accounts, and a service's."""


class Request:
    """One request: its subject, its body, its header block, and `answer`, which may be called once, from anywhere in the
    event loop.
    """

    __slots__ = ("_client", "_reply", "body", "headers", "subject")

    def __init__(self, client: Client, subject: str, body: bytes, reply: str, headers: bytes = b"") -> None:
        self.subject, self.body, self.headers = subject, body, headers
        self._client, self._reply = client, reply

    def answer(self, body: bytes) -> None:
        """Send the answer. Never raises, never waits: while NATS is away or does not read, the asker gives up by itself."""
        reply, self._reply = self._reply, ""
        if reply:
            send_now(self._client, reply, body)


class RequestDoor:
    """`run()` it beside the service's other tasks; `open()` and `close()` may be called from callbacks at any time.

    `on_request` must return at once. What it raises ends `run()`: a programmer's error is a crash.
    """

    def __init__(self, client: Client, subject: str, on_request: Callable[[Request], None]) -> None:
        self.refused = 0
        self._client, self._subject, self._on_request = client, subject, on_request
        self._wanted = False
        self._listening: Listening | None = None
        self._work = asyncio.Event()
        self._failure: Exception | None = None

    def open(self) -> None:
        """Take requests from now on."""
        self._wanted = True
        self._work.set()

    def close(self) -> None:
        """Take no more; what was taken may still be answered."""
        self._wanted = False
        self._work.set()

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                if self._failure is not None:
                    raise self._failure
                await self._listen_or_not()
        finally:
            self._wanted = False
            await self._listen_or_not()

    async def _listen_or_not(self) -> None:
        if self._wanted and self._listening is None:
            self._listening = await self._client.listen(self._subject, self._take)
        elif not self._wanted and self._listening is not None:
            listening, self._listening = self._listening, None
            with contextlib.suppress(NatsError):
                await listening.stop()

    def _take(self, subject: str, reply: str, body: bytes, headers: bytes) -> None:
        if not self._wanted:
            return
        if not reply.startswith(REPLIES):
            self.refused += 1
            return
        try:
            self._on_request(Request(self._client, subject, body, reply, headers))
        except Exception as error:  # noqa: BLE001 - the client would only note it; run() makes it the crash it is
            self._failure = error
            self._work.set()
