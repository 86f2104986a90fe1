"""The log on NATS JetStream: `Log` (log.py) over nats-py's raw publish and subscribe.

Appends have their own inbox and one future each; reads are rebuilt from the last sequence seen whenever they falter.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from nats.errors import Error as NatsError

from fleet_chassis.jetstream_api import RETRY_S, api
from fleet_chassis.jetstream_reader import Reader
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
from fleet_chassis.nats_client import Client, header_block, read_headers
from fleet_chassis.nats_connection import has_room

WRONG_LAST = (10071, 10164, 10063)
"""Wrong last sequence; in a cluster also: another append under the fence, perhaps an earlier send of this one, is still on
its way (10164), or was on its way when the leader changed (10063). Only a look at the last message tells."""
NO_MESSAGE = 10037
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
        await self._client.listen(f"{self._inbox}.*", self._on_ack)

    async def append(
        self,
        subject: str,
        body: bytes,
        *,
        fence: Fence | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout_s: float,
    ) -> Outcome:
        """Send once, wait for the PubAck. While NATS is away or frozen: `NoAnswer`, and nothing is buffered for later."""
        if not has_room(self._client):
            await asyncio.sleep(min(timeout_s, RETRY_S))
            return NoAnswer()
        token = str(next(self._numbers))
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Outcome] = loop.create_future()
        self._waiting[token] = answer
        patience = loop.call_later(timeout_s, _give_up, answer)
        sent = dict(headers)
        if fence is not None:
            sent["Nats-Expected-Last-Subject-Sequence"] = str(fence.last_seq)
            sent["Nats-Expected-Last-Subject-Sequence-Subject"] = fence.subjects
        try:
            self._client.send(subject, body, f"{self._inbox}.{token}", header_block(sent))
            return await answer
        except (NatsError, OSError):
            return NoAnswer()
        finally:
            patience.cancel()
            del self._waiting[token]

    async def last(self, subjects: str, *, timeout_s: float) -> Message | None:
        """The newest message matching the pattern, from the stream's leader."""
        return await self._get({"last_by_subj": subjects}, timeout_s)

    async def get(self, seq: int, *, timeout_s: float) -> Message | None:
        """The message at a sequence."""
        return await self._get({"seq": seq}, timeout_s)

    async def first(self, start_seq: int, subjects: str, *, timeout_s: float) -> Message | None:
        """The first message from `start_seq` on whose subject matches the pattern."""
        return await self._get({"seq": start_seq, "next_by_subj": subjects}, timeout_s)

    async def read(self, start_seq: int, subjects: Sequence[str]) -> AsyncIterator[list[Message]]:
        """Batches from `start_seq`, for ever; an empty batch about once a second when idle."""
        seen = start_seq - 1
        while True:
            reader = Reader(self._client, self._stream, seen + 1, subjects)
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
            headers=read_headers(base64.b64decode(found["hdrs"])) if "hdrs" in found else NO_HEADERS,
        )

    def _on_ack(self, subject: str, reply: str, body: bytes, headers: bytes) -> None:
        answer = self._waiting.get(subject.rpartition(".")[2])
        if answer is None or answer.done():
            return
        answer.set_result(_outcome(body))


def _give_up(answer: "asyncio.Future[Outcome]") -> None:
    if not answer.done():
        answer.set_result(NoAnswer())


def _outcome(body: bytes) -> Outcome:
    """What an answer to a publish says. 503 without a body: no stream listens (no leader, perhaps): nobody knows."""
    if not body:
        return NoAnswer()
    answer = json.loads(body)
    error = answer.get("error")
    if error is None:
        return Stored(int(answer["seq"]), bool(answer.get("duplicate", False)))
    code = int(error.get("err_code", error.get("code", 0)))
    return WrongLast() if code in WRONG_LAST else Refused(code, str(error.get("description", "")))


def _to_micros(text: str) -> str:
    """RFC 3339 with up to nine fractional digits, cut to the six Python reads."""
    head, dot, rest = text.partition(".")
    if not dot:
        return text.replace("Z", "+00:00")
    digits = rest.rstrip("Z")
    return f"{head}.{digits[:6].ljust(6, '0')}+00:00"
