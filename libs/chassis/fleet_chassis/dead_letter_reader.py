"""Reads the stream of dead letters, for people: what was bad, why, and where it came from. Changes nothing.

Connects as the NATS user `operator`, which may read streams and ask ingest, and publish no event.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.jetstream_api import api
from fleet_chassis.log import LogUnavailable, Message
from fleet_chassis.nats_config import OPERATOR
from fleet_chassis.nats_connection import connected
from fleet_chassis.settings import FleetSettings
from fleet_contracts import FLEET_ACCOUNT, Stream
from fleet_contracts.subjects import service_subject

CONNECT_S = 5.0
ANSWER_S = 5.0
ORIGIN, SUBJECT, DETAIL = "Fleet-Origin", "Fleet-Subject", "Fleet-Detail"


class NoAnswerFromIngest(Exception):
    """Ingest is not there, or gave no answer in time."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One bad line. `seq` is its number in DEAD; `origin` = <stream>.<seq>.<line> of where it stood."""

    seq: int
    at: datetime
    service: str
    reason: str
    origin: str
    subject: str
    detail: str
    body: bytes


class DeadLetters:
    """The reader; make it with `dead_letters()`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._log = JetStreamLog(client, Stream.DEAD)

    async def count(self) -> tuple[int, int, int]:
        """(letters, first sequence, last sequence). Raises `LogUnavailable`."""
        answer = await api(self._client, f"STREAM.INFO.{Stream.DEAD}", {}, ANSWER_S)
        if "error" in answer:
            raise LogUnavailable(str(answer["error"].get("description", "no stream DEAD")))
        state = answer["state"]
        return int(state["messages"]), int(state["first_seq"]), int(state["last_seq"])

    async def newest(self, limit: int, *, service: str = "*", reason: str = "*") -> list[DeadLetter]:
        """The last `limit` letters, oldest first. Raises `LogUnavailable`, TimeoutError."""
        letters, first, last = await self.count()
        found: list[DeadLetter] = []
        everything = (service, reason) == ("*", "*")
        start = max(first, last - limit + 1) if everything else first
        while letters and start <= last:
            async with asyncio.timeout(ANSWER_S):
                async with aclosing(cast("Any", self._log.read(start, [f"dead.{service}.{reason}"]))) as batches:
                    batch = await _first(batches)
            if not batch:
                break
            found = (found + [_letter(message) for message in batch])[-limit:]
            start = batch[-1].seq + 1
        return found

    async def get(self, seq: int) -> DeadLetter | None:
        """The letter of that number. Raises `LogUnavailable`."""
        message = await self._log.get(seq, timeout_s=ANSWER_S)
        return _letter(message) if message else None

    async def replay(self, question: Mapping[str, object]) -> dict[str, Any]:
        """Ask ingest to read origins again; its answer. Raises `NoAnswerFromIngest`."""
        subject = service_subject("ingest", "replay", FLEET_ACCOUNT, OPERATOR)
        try:
            reply = await self._client.request(subject, json.dumps(question).encode(), timeout=ANSWER_S)
        except NoRespondersError as error:
            raise NoAnswerFromIngest("ingest is not running") from error
        except (NatsError, TimeoutError, OSError) as error:
            raise NoAnswerFromIngest(f"ingest gave no answer ({error or type(error).__name__})") from error
        answer: dict[str, Any] = json.loads(reply.data)
        return answer


@asynccontextmanager
async def dead_letters(settings: FleetSettings) -> AsyncIterator[DeadLetters]:
    """Connect. Raises TimeoutError when NATS does not answer in time."""
    async with asyncio.timeout(CONNECT_S) as patience:
        async with connected(settings.nats, OPERATOR, settings.fleet_home.nats_seed(OPERATOR)) as client:
            patience.reschedule(None)
            yield DeadLetters(client)


async def _first(batches: AsyncIterator[list[Message]]) -> list[Message]:
    """The first batch that has something; an empty one means that there is nothing more now."""
    async for batch in batches:
        return batch
    return []


def _letter(message: Message) -> DeadLetter:
    _, _, rest = message.subject.partition(".")
    service, _, reason = rest.partition(".")
    headers = message.headers
    return DeadLetter(
        message.seq,
        message.at,
        service,
        reason,
        headers.get(ORIGIN, ""),
        headers.get(SUBJECT, ""),
        headers.get(DETAIL, ""),
        message.body,
    )
