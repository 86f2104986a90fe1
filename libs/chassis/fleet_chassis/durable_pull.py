"""Messages of a durable consumer, with acknowledgements in the caller's hand: overlapping pull requests on one inbox.

`fleet_init` makes the consumer; this only binds to it. Pull requests are bounded in messages and bytes, and no new one is
sent while the caller does not take: that is the back-pressure. What falls silent is asked for again; the connection below
(nats_connection.py) is watched by itself.
"""

import asyncio
import json
import logging
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nats.errors import Error as NatsError

from fleet_chassis.log import NO_HEADERS, Message
from fleet_chassis.nats_client import Client, Listening, read_headers
from fleet_chassis.nats_connection import has_room, send_now

PULL_MESSAGES = 2_000
PULL_BYTES = 4 * 1024**2
"""Of one pull request; two are open as a rule. No message is larger (the server's max_payload is half of it)."""
HELD_BYTES_MAX = 2 * PULL_BYTES
"""Nothing more is asked for while the caller has not taken this much."""
EXPIRES_S = 20.0
HEARTBEAT_S = 1.0
SILENT_S = 3 * HEARTBEAT_S
"""The server speaks every HEARTBEAT_S while it owes us an answer; after this long without a word we ask again."""
REFUSED_WAIT_S = 0.5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message in hand, not yet acknowledged. `pending`: how many wait behind it in the consumer."""

    message: Message
    token: str
    pending: int


class DurablePull:
    """Reads stream `stream` through its consumer `durable`. `open()`, then `ask()` and `take()` again and again."""

    def __init__(self, client: Client, stream: str, durable: str, arrived: asyncio.Event) -> None:
        """`arrived` is set whenever there is something to take; several readers may share one."""
        self.stream = stream
        self.problem: str | None = None
        self.asked_again = 0
        self._client, self._arrived = client, arrived
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._request = json.dumps(
            {
                "batch": PULL_MESSAGES,
                "max_bytes": PULL_BYTES,
                "expires": int(EXPIRES_S * 1e9),
                "idle_heartbeat": int(HEARTBEAT_S * 1e9),
            }
        ).encode()
        self._held: deque[Delivered] = deque()
        self._held_bytes = 0
        self._wanted = 0
        self._heard = 0.0
        self._wait_until = 0.0
        self._reconnects = 0
        self._clock = asyncio.get_running_loop().time
        self._listening: Listening | None = None

    async def open(self) -> None:
        """Subscribe the inbox."""
        self._inbox = self._client.new_inbox()
        self._listening = await self._client.listen(self._inbox, self._on_message)

    async def close(self) -> None:
        """Stop receiving. What is in hand and not acknowledged will be delivered again to whoever asks."""
        if self._listening is not None:
            listening, self._listening = self._listening, None
            try:
                await listening.stop()
            except NatsError as error:
                _log.info("leaving %s: %s", self.stream, error or type(error).__name__)

    @property
    def held(self) -> int:
        """Messages that wait to be taken."""
        return len(self._held)

    def ask(self) -> None:
        """Keep two pull requests open, unless enough is held. Call it at least once a second while reading."""
        now = self._clock()
        if now < self._wait_until or not has_room(self._client):
            return
        self._forget_lost_requests(now)
        while self._wanted <= PULL_MESSAGES and len(self._held) < 2 * PULL_MESSAGES and self._held_bytes < HELD_BYTES_MAX:
            if not self._wanted:
                self._heard = now
            self._wanted += PULL_MESSAGES
            send_now(self._client, self._next, self._request, self._inbox)

    def take(self, messages_max: int) -> list[Delivered]:
        """Up to so many messages, oldest first."""
        taken = [self._held.popleft() for _ in range(min(messages_max, len(self._held)))]
        self._held_bytes -= sum(len(one.message.body) for one in taken)
        return taken

    def ack(self, delivered: Delivered) -> None:
        """Acknowledge. One that gets lost on the way only means that the message comes again."""
        send_now(self._client, delivered.token, b"+ACK")

    def _forget_lost_requests(self, now: float) -> None:
        """After a reconnect, or a long silence: the server was restarted, or another one leads the consumer."""
        reconnects = self._client.stats["reconnects"]
        silent = bool(self._wanted) and now - self._heard > SILENT_S
        if silent:
            self.problem = f"{self.stream} has been silent for {SILENT_S:.0f} s"
            self.asked_again += 1
        if silent or reconnects != self._reconnects:
            self._wanted, self._reconnects = 0, reconnects

    def _on_message(self, subject: str, reply: str, body: bytes, headers: bytes) -> None:
        self._heard = self._clock()
        if reply:
            self.problem = None
            self._hold(subject, reply, body, headers)
            self._arrived.set()
        else:
            self._status(headers)

    def _hold(self, subject: str, reply: str, body: bytes, headers: bytes) -> None:
        """`$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time ns>.<pending>`"""
        parts = reply.split(".")
        at = _EPOCH + timedelta(microseconds=int(parts[7]) // 1000)
        stored = Message(subject, int(parts[5]), at, body, read_headers(headers) if headers else NO_HEADERS)
        self._held.append(Delivered(stored, reply, int(parts[8])))
        self._held_bytes += len(body)
        self._wanted = max(0, self._wanted - 1)

    def _status(self, block: bytes) -> None:
        """100: a sign of life. With a count: a request ended by time, size or completion. All else: it was refused."""
        headers = read_headers(block)
        status, description = headers.get("Status", ""), headers.get("Description", "")
        if status == "100":
            self.problem = None
            return
        if status in ("408", "409") and "Nats-Pending-Messages" in headers:
            self._wanted = max(0, self._wanted - int(headers["Nats-Pending-Messages"]))
            self.problem = None
            return
        self._wanted = 0
        self._wait_until = self._heard + REFUSED_WAIT_S
        self.problem = f"{self.stream} refuses to be read ({status} {description or 'no such consumer yet'})"
