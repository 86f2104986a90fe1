"""Serving request-reply over NATS: handlers are plain functions, answers leave together in one task."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

REPLIES = ("_R_.", "_INBOX.")
"""What an answer may be sent to: a bot's reply mapped between accounts, or a service's inbox. Never an event subject."""
WAITING_MAX = 65_536
_log = logging.getLogger(__name__)

Reply = Callable[[bytes], None]
Handler = Callable[[str, bytes, Reply], None]
"""(subject, body, reply): answers now or later, at most once; must not raise for anything a caller can send."""


class Requests:
    """The doors of a service. `await run()` for as long as they may be open."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._open: dict[str, Subscription] = {}
        self._answers: deque[tuple[str, bytes]] = deque(maxlen=WAITING_MAX)
        self._waiting = asyncio.Event()

    async def open(self, doors: Mapping[str, Handler]) -> None:
        """Listen on these subjects (those already open stay as they are)."""
        for subject, handler in doors.items():
            if subject not in self._open:
                self._open[subject] = await self._client.subscribe(subject, cb=self._listener(handler))

    async def close(self, doors: Mapping[str, Handler]) -> None:
        """Stop listening on these subjects."""
        for subject in doors:
            subscription = self._open.pop(subject, None)
            if subscription is not None:
                try:
                    await subscription.unsubscribe()
                except NatsError as error:
                    _log.info("closing %s: %s", subject, error)

    async def run(self) -> None:
        """Send answers, for ever. One that cannot be sent is lost: its caller has a deadline and asks again."""
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            while self._answers:
                subject, body = self._answers.popleft()
                try:
                    await self._client.publish(subject, body)
                except NatsError as error:
                    _log.info("an answer was not sent (%s)", error)

    def _listener(self, handler: Handler) -> Callable[[Msg], object]:
        async def listen(message: Msg) -> None:
            if message.reply.startswith(REPLIES):
                handler(message.subject, message.data, self._replier(message.reply))

        return listen

    def _replier(self, subject: str) -> Reply:
        def reply(body: bytes) -> None:
            self._answers.append((subject, body))
            self._waiting.set()

        return reply
