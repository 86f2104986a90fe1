"""The door `svc.ingest.replay.fleet.operator`: origins of dead letters are read again and their rows written anew.

Nothing is ever published to FLEET, and a line that is still bad gets no second letter.
"""

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.log import LogUnavailable, Message
from fleet_chassis.questdb_writer import Outage
from fleet_chassis.request_reply import Request
from fleet_chassis.worker_thread import Stalled
from fleet_contracts import DeadReason, Stream
from fleet_contracts.subjects import dead_subject, service_subject
from fleet_ingest.core.lines import Judged
from fleet_ingest.journal import SERVICE, Journal
from fleet_ingest.metrics import Counts
from fleet_ingest.pump import stored_message

SUBJECT = service_subject(SERVICE, "replay", "fleet", "operator")
ORIGINS_MAX = 1_000
WAITING_MAX = 8
READ_S = 2.0
ANSWER_S = 4.0
"""Whoever asks waits five seconds: what is not done by then is answered as not done."""
_ORIGIN = re.compile(r"(FLEET|HEARTBEAT)\.([0-9]{1,19})\.([0-9]{1,7})")
_log = logging.getLogger(__name__)
Result = dict[str, str]


class LetterFilter(BaseModel):
    """Which dead letters: by reason, the subject they came on (`*` stands for one token), and the time of the letter."""

    model_config = ConfigDict(extra="forbid")
    reason: DeadReason | None = None
    subject: Annotated[str, Field(max_length=300)] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    after: Annotated[int, Field(ge=0)] = 0
    """Only letters with a higher sequence in DEAD: the `next` of the answer before."""
    limit: Annotated[int, Field(ge=1, le=ORIGINS_MAX)] = ORIGINS_MAX

    def takes(self, letter: Message) -> bool:
        """Whether a letter is meant."""
        if (self.since and letter.at < self.since) or (self.until and letter.at >= self.until):
            return False
        came_on = letter.headers.get("Fleet-Subject", "").split(".")
        return self.subject is None or _matches(self.subject.split("."), came_on)


class ReplayRequest(BaseModel):
    """`origins` like `FLEET.12.0`, or a `filter` over the dead letters; `reason` says what for."""

    model_config = ConfigDict(extra="forbid")
    origins: Annotated[list[str], Field(min_length=1, max_length=ORIGINS_MAX)] | None = None
    filter: LetterFilter | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.origins is None) == (self.filter is None):
            raise ValueError("name either origins or a filter")
        for origin in self.origins or ():
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin[:100]!r} is no origin like FLEET.12.0")
        return self


class Replay:
    """Answers one request at a time; a few may wait."""

    def __init__(self, logs: Mapping[str, JetStreamLog], journal: Journal, counts: Counts) -> None:
        """`logs`: FLEET, HEARTBEAT and DEAD, opened."""
        self._logs, self._journal, self._counts = logs, journal, counts
        self._waiting: asyncio.Queue[Request] = asyncio.Queue(WAITING_MAX)

    def take(self, request: Request) -> None:
        """A request has come in."""
        try:
            self._waiting.put_nowait(request)
        except asyncio.QueueFull:
            request.answer(_error("OVERLOADED", "too many replays at once; ask again"))

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            request = await self._waiting.get()
            request.answer(await self.answer(request.body))

    async def answer(self, body: bytes) -> bytes:
        """The answer to a request, right or wrong."""
        try:
            asked = ReplayRequest.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            code = "NOT_JSON" if first["type"] == "json_invalid" else "INVALID_REQUEST"
            field = ".".join(str(part) for part in first["loc"])
            said = first["msg"].removeprefix("Value error, ")
            return _error(code, f"{field}: {said}" if field else said)
        results: dict[str, Result] = {}
        after: int | None = None
        try:
            async with asyncio.timeout(ANSWER_S):
                origins, after = await self._origins(asked)
                results = {origin: {"result": "not_done"} for origin in origins}
                for origin in origins:
                    results[origin] = await self._again(origin)
        except TimeoutError:
            _log.warning("a replay of %d origins was cut short", len(results))
        except (LogUnavailable, Outage, Stalled) as error:
            return _error("UNAVAILABLE", f"nothing more can be read or written now: {error}")
        counted = Counter(result["result"] for result in results.values())
        _log.info("replayed %d origins (%s): %s", len(results), asked.reason or "no reason given", dict(counted))
        kinds = ("stored", "bad", "missing", "not_done")
        listed = [{"origin": origin, **result} for origin, result in results.items()]
        answer: dict[str, Any] = {kind: counted[kind] for kind in kinds} | {"next": after, "results": listed}
        return json.dumps(answer).encode()

    async def _origins(self, asked: ReplayRequest) -> tuple[list[str], int | None]:
        """Each origin once, in order; and where to go on when the filter found more than its limit."""
        if asked.filter is None:
            return list(dict.fromkeys(asked.origins or ())), None
        found: dict[str, None] = {}
        async for letter in self._letters(asked.filter):
            if len(found) == asked.filter.limit:
                return list(found), letter.seq - 1
            origin = letter.headers.get("Fleet-Origin", "")
            if _ORIGIN.fullmatch(origin):
                found[origin] = None
        return list(found), None

    async def _letters(self, wanted: LetterFilter) -> AsyncIterator[Message]:
        subjects = dead_subject(SERVICE, wanted.reason or "*")
        seq = wanted.after + 1
        while (letter := await self._logs[Stream.DEAD].first(seq, subjects, timeout_s=READ_S)) is not None:
            if wanted.takes(letter):
                yield letter
            seq = letter.seq + 1

    async def _again(self, origin: str) -> Result:
        """Read one origin again. Raises `LogUnavailable`, `Outage`, `Stalled`."""
        stream, seq, index = origin.split(".")
        message = await self._logs[stream].get(int(seq), timeout_s=READ_S)
        line = self._line(stream, message, int(index)) if message is not None else None
        if line is None:
            return {"result": "missing"}
        refused = await self._journal.write([line])
        letter = line.letter or (refused[0] if refused else None)
        self._counts.replayed += 1
        if letter is not None:
            return {"result": "bad", "reason": letter.reason, "detail": letter.detail}
        return {"result": "stored"}

    def _line(self, stream: str, message: Message, index: int) -> Judged | None:
        lines = self._journal.judged(stored_message(stream, message))
        return next((line for line in lines if line.place.line == index), None)


def _matches(pattern: list[str], subject: list[str]) -> bool:
    return len(pattern) == len(subject) and all(want in ("*", have) for want, have in zip(pattern, subject, strict=True))


def _error(code: str, text: str) -> bytes:
    return json.dumps({"error": text, "code": code}).encode()
