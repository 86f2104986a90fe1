"""The door `svc.ingest.replay.fleet.operator`: origins of dead letters are read again and their rows written anew.

Nothing is ever published to FLEET, and a line that is still bad gets no second letter.
"""

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.log import LogUnavailable, Message
from fleet_chassis.questdb_writer import Outage
from fleet_chassis.request_reply import Request
from fleet_chassis.worker_thread import Stalled
from fleet_contracts import DeadReason, Stream
from fleet_contracts.subjects import dead_subject, service_subject
from fleet_ingest.core.lines import Judged, Letter
from fleet_ingest.journal import SERVICE, Journal
from fleet_ingest.metrics import Counts
from fleet_ingest.pump import stored_message

SUBJECT = service_subject(SERVICE, "replay", "fleet", "operator")
ORIGINS_MAX = 1_000
WAITING_MAX = 8
READ_S = 2.0
LOOK_S = 2.0
"""How long a filter looks through the letters before it answers where to go on."""
ANSWER_S = 4.5
"""Whoever asks waits five seconds."""
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
        try:
            async with asyncio.timeout(ANSWER_S):
                origins, after = await self._origins(asked)
                results = await self._again(origins)
        except TimeoutError:
            return _error("UNAVAILABLE", f"not done in {ANSWER_S:.0f} s; ask again, or for less at once")
        except (LogUnavailable, Outage, Stalled) as error:
            return _error("UNAVAILABLE", f"nothing can be read or written now: {error}")
        counted = Counter(result["result"] for result in results)
        _log.info("replayed %d origins (%s): %s", len(results), asked.reason or "no reason given", dict(counted))
        answer = {kind: counted[kind] for kind in ("stored", "bad", "missing")} | {"next": after, "results": results}
        return json.dumps(answer).encode()

    async def _origins(self, asked: ReplayRequest) -> tuple[list[str], int | None]:
        """Each origin once, in order; and where to go on when the filter has not seen all letters yet."""
        wanted = asked.filter
        if wanted is None:
            return list(dict.fromkeys(asked.origins or ())), None
        found: dict[str, None] = {}
        subjects, seq = dead_subject(SERVICE, wanted.reason or "*"), wanted.after
        clock = asyncio.get_running_loop().time
        until = clock() + LOOK_S
        while len(found) < wanted.limit and clock() < until:
            letter = await self._logs[Stream.DEAD].first(seq + 1, subjects, timeout_s=READ_S)
            if letter is None:
                return list(found), None
            seq = letter.seq
            origin = letter.headers.get("Fleet-Origin", "")
            if wanted.takes(letter) and _ORIGIN.fullmatch(origin):
                found[origin] = None
        return list(found), seq

    async def _again(self, origins: Sequence[str]) -> list[Result]:
        """Read the origins again and write them in one go. Raises `LogUnavailable`, `Outage`, `Stalled`."""
        lines = {found: line for found in origins if (line := await self._line(found)) is not None}
        refused = {letter.origin: letter for letter in await self._journal.write(lines.values())}
        self._counts.replayed += len(lines)
        return [{"origin": found, **_result(found in lines, refused.get(found))} for found in origins]

    async def _line(self, wanted: str) -> Judged | None:
        stream, seq, index = wanted.split(".")
        message = await self._logs[stream].get(int(seq), timeout_s=READ_S)
        if message is None:
            return None
        lines = self._journal.judged(stored_message(stream, message))
        return next((line for line in lines if line.place.line == int(index)), None)


def _result(found: bool, letter: Letter | None) -> Result:
    if not found:
        return {"result": "missing"}
    if letter is not None:
        return {"result": "bad", "reason": letter.reason, "detail": letter.detail}
    return {"result": "stored"}


def _matches(pattern: list[str], subject: list[str]) -> bool:
    return len(pattern) == len(subject) and all(want in ("*", have) for want, have in zip(pattern, subject, strict=True))


def _error(code: str, text: str) -> bytes:
    return json.dumps({"error": text, "code": code}).encode()
