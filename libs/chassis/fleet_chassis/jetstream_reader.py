"""Reading a stream of the server: an ephemeral consumer without acknowledgements, and overlapping pull requests.

Order and completeness are the consumer's own count of deliveries; whatever is odd ends the reader, and `JetStreamLog.read`
makes a new one from the last sequence seen.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta

from nats.errors import Error as NatsError

from fleet_chassis.jetstream_api import api
from fleet_chassis.log import NO_HEADERS, LogUnavailable, Message
from fleet_chassis.nats_client import Client, read_headers
from fleet_chassis.nats_connection import has_room

BATCH = 500
BATCH_BYTES_MAX = 16 * 1024**2
"""One pull request brings no more; about three of them are in memory at most. Larger than any message."""
IDLE_S = 1.0
LOOK_S = 0.25
HEARTBEAT_S = 1.0
SILENCE_S = 3.5
"""A consumer that lives beats; without a sound for this long it is gone, or its server is."""
PULL_EXPIRES_S = 30.0
CONSUMER_IDLE_S = 60.0
"""The server forgets a reader that has been gone for this long."""
API_TIMEOUT_S = 2.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reader:
    """`open()`, then `batches()` until it raises, then `close()`."""

    def __init__(self, client: Client, stream: str, start_seq: int, subjects: Sequence[str]) -> None:
        self._client, self._stream = client, stream
        self._config = {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": start_seq,
            "ack_policy": "none",
            "max_deliver": 1,
            "replay_policy": "instant",
            "inactive_threshold": int(CONSUMER_IDLE_S * 1e9),
            "mem_storage": True,
            "num_replicas": 1,
            **({"filter_subject": subjects[0]} if len(subjects) == 1 else {"filter_subjects": list(subjects)}),
        }
        self._pull = json.dumps(
            {
                "batch": BATCH,
                "max_bytes": BATCH_BYTES_MAX,
                "expires": int(PULL_EXPIRES_S * 1e9),
                "idle_heartbeat": int(HEARTBEAT_S * 1e9),
            }
        ).encode()
        self._clock = asyncio.get_running_loop().time
        self._name = ""
        self._reconnects = 0
        self._buffer: list[Message] = []
        self._arrived: asyncio.Future[None] | None = None
        self._wanted = 0
        self._delivered = 0
        self._heard = 0.0
        self._gone: str | None = None

    async def open(self) -> None:
        """Make the consumer. Raises `LogUnavailable`."""
        self._reconnects = self._client.stats["reconnects"]
        self._inbox = self._client.new_inbox()
        name = self._inbox.rpartition(".")[2]
        question = {"stream_name": self._stream, "config": {**self._config, "name": name}, "action": "create"}
        answer = await api(self._client, f"CONSUMER.CREATE.{self._stream}.{name}", question, API_TIMEOUT_S)
        if "error" in answer:
            raise LogUnavailable(answer["error"].get("description", "no consumer"))
        self._name = name
        self._heard = self._clock()
        self._listening = await self._client.listen(self._inbox, self._on_message)

    async def close(self) -> None:
        """Let the server forget the consumer now."""
        if not self._name:
            return
        name, self._name = self._name, ""
        with contextlib.suppress(NatsError, OSError):
            await self._listening.stop()
            if has_room(self._client):
                self._client.send(f"$JS.API.CONSUMER.DELETE.{self._stream}.{name}", b"")

    async def batches(self) -> AsyncGenerator[list[Message], None]:
        """What arrives, and an empty batch each `IDLE_S` without. Raises `LogUnavailable` when the consumer is gone."""
        clock = self._clock
        yielded = clock()
        while True:
            self._ask()
            if not self._buffer:
                await self._wait()
            batch, self._buffer = self._buffer, []
            if batch:
                yield batch
                yielded = clock()
                continue
            self._check(clock())
            if clock() - yielded >= IDLE_S:
                yield []
                yielded = clock()

    def _ask(self) -> None:
        """Two requests are open as a rule, so that the next batch is on its way while this one is read."""
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}"
        while self._wanted <= BATCH and len(self._buffer) < 2 * BATCH and self._gone is None and has_room(self._client):
            self._wanted += BATCH
            self._client.send(subject, self._pull, self._inbox)

    async def _wait(self) -> None:
        """Until something arrives, or for `LOOK_S`. (A timer and a future: half the work of a time-out around an event.)"""
        loop = asyncio.get_running_loop()
        self._arrived = loop.create_future()
        look = loop.call_later(LOOK_S, self._wake)
        try:
            await self._arrived
        finally:
            look.cancel()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _check(self, now: float) -> None:
        """Raises `LogUnavailable` when nothing more will come."""
        if self._gone is not None:
            raise LogUnavailable(self._gone)
        if self._client.stats["reconnects"] != self._reconnects:
            raise LogUnavailable("reconnected: what was on its way is lost")
        if now - self._heard > SILENCE_S:
            raise LogUnavailable("the consumer is silent")

    def _on_message(self, subject: str, reply: str, body: bytes, headers: bytes) -> None:
        self._heard = self._clock()
        if reply:
            self._take(subject, reply, body, headers)
        else:
            self._status(headers)
        self._wake()

    def _status(self, block: bytes) -> None:
        """100: a heartbeat. A request that has ended (408 in time, 409 by its bytes) gives back what it did not bring."""
        headers = read_headers(block)
        status, description = headers.get("Status", ""), headers.get("Description", "")
        if status == "100":
            return
        if status == "408" or (status == "409" and description.lower().endswith(("maxbytes", "batch completed"))):
            self._wanted = max(0, self._wanted - int(headers.get("Nats-Pending-Messages", BATCH)))
            return
        self._gone = f"{status} {description}".strip() or "refused"

    def _take(self, subject: str, reply: str, body: bytes, headers: bytes) -> None:
        """`$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time ns>.<pending>`"""
        parts = reply.split(".")
        stream_seq, consumer_seq, time_ns = int(parts[5]), int(parts[6]), int(parts[7])
        if self._gone is not None:
            return
        if consumer_seq != self._delivered + 1:
            self._gone = f"message {self._delivered + 1} of the consumer is missing"
            return
        self._delivered = consumer_seq
        self._wanted -= 1
        at = _EPOCH + timedelta(microseconds=time_ns // 1000)
        self._buffer.append(Message(subject, stream_seq, at, body, read_headers(headers) if headers else NO_HEADERS))
