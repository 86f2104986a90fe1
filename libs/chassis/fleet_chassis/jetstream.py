"""The log on NATS JetStream: `Log` (log.py) over nats-py's raw publish and subscribe.

Appends have their own inbox and one future each; reads use overlapping pull requests of an ephemeral consumer without
acknowledgements, and rebuild it from the last sequence seen whenever it falls silent.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from fleet_chassis.log import (
    NO_HEADERS,
    Fence,
    LogUnavailable,
    Message,
    NoAnswer,
    Outcome,
    Refused,
    Stored,
    WrongLast,
)

WRONG_LAST = 10071
NO_MESSAGE = 10037
BATCH = 500
IDLE_S = 1.0
HEARTBEAT_S = 2.0
PULL_EXPIRES_S = 30.0
CONSUMER_IDLE_S = 60.0
"""The server forgets a reader that has been gone for this long."""
API_TIMEOUT_S = 2.0
RETRY_S = 0.2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger(__name__)


class JetStreamLog:
    """One stream of the server. `await open()` before use."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client, self._stream = client, stream
        self._inbox = client.new_inbox()
        self._numbers = itertools.count()
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}

    async def open(self) -> None:
        """Subscribe the inbox of the acknowledgements."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._on_ack)

    async def append(
        self,
        subject: str,
        body: bytes,
        *,
        fence: Fence | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout_s: float,
    ) -> Outcome:
        """Send once, wait for the PubAck. While disconnected: `NoAnswer` at once, nothing is buffered for later."""
        if not self._client.is_connected:
            await asyncio.sleep(min(timeout_s, RETRY_S))
            return NoAnswer()
        token = str(next(self._numbers))
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[token] = answer
        sent = dict(headers)
        if fence is not None:
            sent["Nats-Expected-Last-Subject-Sequence"] = str(fence.last_seq)
            sent["Nats-Expected-Last-Subject-Sequence-Subject"] = fence.subjects
        try:
            async with asyncio.timeout(timeout_s):
                await self._client.publish(subject, body, reply=f"{self._inbox}.{token}", headers=sent or None)
                return await answer
        except (TimeoutError, NatsError, OSError):
            return NoAnswer()
        finally:
            del self._waiting[token]

    async def last(self, subjects: str, *, timeout_s: float) -> Message | None:
        """The newest message matching the pattern, from the stream's leader."""
        return await self._get({"last_by_subj": subjects}, timeout_s)

    async def get(self, seq: int, *, timeout_s: float) -> Message | None:
        """The message at a sequence."""
        return await self._get({"seq": seq}, timeout_s)

    async def read(self, start_seq: int, subjects: Sequence[str]) -> AsyncIterator[list[Message]]:
        """Batches from `start_seq`, for ever; an empty batch about once a second when idle."""
        seen = start_seq - 1
        while True:
            reader = _Reader(self._client, self._stream, seen + 1, subjects)
            try:
                await reader.open()
                async with contextlib.aclosing(reader.batches()) as batches:
                    async for batch in batches:
                        if batch:
                            seen = batch[-1].seq
                        yield batch
            except (NatsError, OSError, TimeoutError, LogUnavailable) as error:
                _log.info("reading %s again from %d (%s)", self._stream, seen + 1, error or type(error).__name__)
            finally:
                await reader.close()
            yield []
            await asyncio.sleep(RETRY_S)

    async def _get(self, question: Mapping[str, object], timeout_s: float) -> Message | None:
        answer = await api(self._client, f"STREAM.MSG.GET.{self._stream}", question, timeout_s)
        error = answer.get("error")
        if error is not None:
            if error.get("err_code") == NO_MESSAGE:
                return None
            raise LogUnavailable(error.get("description", "unknown error"))
        found = answer["message"]
        return Message(
            subject=found["subject"],
            seq=found["seq"],
            at=datetime.fromisoformat(_to_micros(found["time"])),
            body=base64.b64decode(found.get("data", "")),
            headers=_headers(base64.b64decode(found["hdrs"])) if "hdrs" in found else NO_HEADERS,
        )

    async def _on_ack(self, message: Msg) -> None:
        answer = self._waiting.get(message.subject.rpartition(".")[2])
        if answer is None or answer.done():
            return
        answer.set_result(_outcome(message))


async def api(client: Client, verb: str, question: Mapping[str, object], timeout_s: float) -> dict[str, Any]:
    """One JetStream API request. Raises `LogUnavailable` when nobody answers in time."""
    if not client.is_connected:
        await asyncio.sleep(min(timeout_s, RETRY_S))
        raise LogUnavailable("NATS is away")
    try:
        reply = await client.request(f"$JS.API.{verb}", json.dumps(question).encode(), timeout=timeout_s)
    except (NatsError, TimeoutError, OSError) as error:
        raise LogUnavailable(str(error) or type(error).__name__) from error
    answer: dict[str, Any] = json.loads(reply.data)
    return answer


def _outcome(message: Msg) -> Outcome:
    """What an answer to a publish says. 503 without a body: no stream listens (no leader, perhaps): nobody knows."""
    if not message.data:
        return NoAnswer()
    answer = json.loads(message.data)
    error = answer.get("error")
    if error is None:
        return Stored(int(answer["seq"]), bool(answer.get("duplicate", False)))
    code = int(error.get("err_code", error.get("code", 0)))
    return WrongLast() if code == WRONG_LAST else Refused(code, str(error.get("description", "")))


class _Reader:
    """An ephemeral consumer, no acks, and its pull requests."""

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
        self._name = ""
        self._buffer: list[Message] = []
        self._arrived = asyncio.Event()
        self._wanted = 0
        self._delivered = 0
        self._heard = 0.0
        self._gone: str | None = None

    async def open(self) -> None:
        self._inbox = self._client.new_inbox()
        name = self._inbox.rpartition(".")[2]
        question = {"stream_name": self._stream, "config": {**self._config, "name": name}, "action": "create"}
        answer = await api(self._client, f"CONSUMER.CREATE.{self._stream}.{name}", question, API_TIMEOUT_S)
        if "error" in answer:
            raise LogUnavailable(answer["error"].get("description", "no consumer"))
        self._name = name
        self._heard = asyncio.get_running_loop().time()
        self._subscription = await self._client.subscribe(
            self._inbox, cb=self._on_message, pending_msgs_limit=8 * BATCH, pending_bytes_limit=0
        )

    async def close(self) -> None:
        if not self._name:
            return
        name, self._name = self._name, ""
        with contextlib.suppress(NatsError, OSError):
            await self._subscription.unsubscribe()
            if self._client.is_connected:
                await self._client.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{name}")

    async def batches(self) -> AsyncGenerator[list[Message], None]:
        """Until it falls silent or is gone; raises `LogUnavailable` then."""
        while True:
            await self._pull()
            if not self._buffer:
                self._arrived.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_S):
                        await self._arrived.wait()
            batch, self._buffer = self._buffer, []
            if batch:
                yield batch
                continue
            if self._gone is not None:
                raise LogUnavailable(self._gone)
            if asyncio.get_running_loop().time() - self._heard > 2 * HEARTBEAT_S + IDLE_S:
                raise LogUnavailable("the consumer is silent")
            yield []

    async def _pull(self) -> None:
        """Two requests are open as a rule, so that the next batch is on its way while this one is read."""
        while self._wanted <= BATCH and len(self._buffer) < 2 * BATCH and self._gone is None:
            self._wanted += BATCH
            question = {
                "batch": BATCH,
                "expires": int(PULL_EXPIRES_S * 1e9),
                "idle_heartbeat": int(HEARTBEAT_S * 1e9),
            }
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}"
            await self._client.publish(subject, json.dumps(question).encode(), reply=self._inbox)

    async def _on_message(self, message: Msg) -> None:
        self._heard = asyncio.get_running_loop().time()
        if not message.reply:
            self._status(message.headers or {})
        else:
            self._take(message)
        self._arrived.set()

    def _status(self, headers: Mapping[str, str]) -> None:
        status, description = headers.get("Status", ""), headers.get("Description", "")
        if status == "100":
            return
        if status in ("408", "409") and "Nats-Pending-Messages" in headers and "Deleted" not in description:
            self._wanted = max(0, self._wanted - int(headers["Nats-Pending-Messages"]))
            return
        self._gone = f"{status} {description}".strip() or "refused"

    def _take(self, message: Msg) -> None:
        """`$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time ns>.<pending>`"""
        parts = message.reply.split(".")
        stream_seq, consumer_seq, time_ns = int(parts[5]), int(parts[6]), int(parts[7])
        if consumer_seq != self._delivered + 1:
            self._gone = f"message {self._delivered + 1} of the consumer is missing"
        if self._gone is not None:
            return
        self._delivered = consumer_seq
        self._wanted -= 1
        at = _EPOCH + timedelta(microseconds=time_ns // 1000)
        self._buffer.append(Message(message.subject, stream_seq, at, message.data, message.headers or NO_HEADERS))


def _to_micros(text: str) -> str:
    """RFC 3339 with up to nine fractional digits, cut to the six Python reads."""
    head, dot, rest = text.partition(".")
    if not dot:
        return text.replace("Z", "+00:00")
    digits = rest.rstrip("Z")
    return f"{head}.{digits[:6].ljust(6, '0')}+00:00"


def _headers(block: bytes) -> dict[str, str]:
    """A NATS header block: `NATS/1.0`, then `name: value` lines."""
    headers: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name] = value.strip()
    return headers
