"""Messages into QuestDB and DEAD: rows committed first, then letters with their PubAck. Doing it twice is doing it once."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from fleet_chassis.clock import Clock
from fleet_chassis.log import Log, Stored
from fleet_chassis.questdb_writer import Outage, QuestDbWriter, ReadyRows
from fleet_chassis.quick_read import quick_read
from fleet_chassis.worker_thread import Stalled, WorkerThread
from fleet_contracts.subjects import dead_subject
from fleet_ingest.core.lines import Calendar, Judged, Letter, StoredMessage, judge
from fleet_ingest.metrics import Counts
from fleet_ingest.settings import (
    DEAD_S,
    LETTERS_AT_ONCE,
    LINE_BYTES_MAX,
    LINES_MAX,
    RETRY_S_FIRST,
    RETRY_S_MAX,
    WRITE_S_MAX,
)

SERVICE = "ingest"
DEAD_BYTES_MAX = 2_000_000
"""Of a letter's body, so that it fits into a message together with its headers."""
_log = logging.getLogger(__name__)


class Behind(Outage):
    """Nothing was tried: what was to be stored before this has not been. Store that first, then this again."""


Lines = Callable[[], Iterator[Judged]]
"""The lines of a call, made anew each time it is called: the same ones, in the same order."""


@dataclass(slots=True)
class Portion:
    """So many lines, to be committed at once: their rows, ready to be sent, and the letters of the bad ones. The lines are
    not kept, as memory that is used again at once is quicker: whoever needs them makes them `again`.
    """

    rows: ReadyRows
    again: Lines
    lines: int = 0
    letters: dict[str, Letter] = field(default_factory=dict)


class Journal:
    """Owns the writer and two threads: while one portion is committed, the next is judged, be it of the next `store`.

    Calls may overlap. Those of `store` are committed in order of asking, and when one fails, so do those behind it.
    """

    def __init__(
        self, make_writer: Callable[[], QuestDbWriter], dead: Log, calendar: Calendar, clock: Clock, counts: Counts
    ) -> None:
        self._make_writer, self._dead = make_writer, dead
        self._calendar, self._clock, self._counts = calendar, clock, counts
        self._judging, self._writing = WorkerThread("judge"), WorkerThread("questdb-writer")
        self._writer = make_writer()
        self._in_order, self._failures = asyncio.Lock(), 0

    async def store(self, messages: Sequence[StoredMessage]) -> None:
        """All lines of the messages committed, all bad ones in DEAD. Raises `Outage`, `Stalled`: then store them again."""
        now, failures = self._clock(), self._failures

        def lines() -> Iterator[Judged]:
            return (line for message in messages for line in judge(message, self._calendar, now, quick_read))

        portions = _portions(lines)
        try:
            first = await self._next(portions)
            async with self._in_order:
                if failures != self._failures:
                    raise Behind("what came before is not stored yet")
                async with aclosing(self._committed(first, portions)) as committed:
                    async for letters in committed:
                        await self.bury(letters)
        except BaseException:
            self._failures += 1
            raise

    def judged(self, message: StoredMessage) -> Iterator[Judged]:
        """The lines of a message as `store` would take them now."""
        return judge(message, self._calendar, self._clock(), quick_read)

    async def write(self, lines: Collection[Judged]) -> list[Letter]:
        """Commit these lines; the letters of the bad ones, not sent. Raises `Outage`, `Stalled`."""
        portions = _portions(lambda: iter(lines))
        async with aclosing(self._committed(await self._next(portions), portions)) as committed:
            return [letter async for letters in committed for letter in letters]

    async def bury(self, letters: Sequence[Letter]) -> None:
        """Every letter in DEAD, with its PubAck, however long it takes; one that is there already is not doubled."""
        for start in range(0, len(letters), LETTERS_AT_ONCE):
            await asyncio.gather(*(self._bury(letter) for letter in letters[start : start + LETTERS_AT_ONCE]))

    def close(self) -> None:
        """Let the threads go."""
        self._judging.close()
        self._writing.close()

    async def _committed(self, portion: Portion | None, more: Iterator[Portion]) -> AsyncGenerator[list[Letter], None]:
        """Commit the portion and those behind it; the letters of each. One more is made ready meanwhile."""
        while portion is not None:
            ahead = asyncio.create_task(self._next(more))
            try:
                yield await self._commit(portion)
                portion = await ahead
            finally:
                ahead.cancel()

    async def _next(self, portions: Iterator[Portion]) -> Portion | None:
        return await self._judging.run(lambda: next(portions, None), WRITE_S_MAX)

    async def _commit(self, portion: Portion) -> list[Letter]:
        """The letters of its bad lines, those the database refuses among them."""
        writer = self._writer
        try:
            rows = await self._writing.run(lambda: _write(writer, portion), WRITE_S_MAX)
        except Stalled:
            self._writer = self._make_writer()
            raise
        self._counts.lines += portion.lines
        self._counts.rows += rows
        return list(portion.letters.values())

    async def _bury(self, letter: Letter) -> None:
        wait_s = RETRY_S_FIRST
        while not isinstance(outcome := await self._send(letter), Stored):
            _log.warning("the letter of %s is not in DEAD yet (%s)", letter.origin, outcome)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_S_MAX)
        if not outcome.duplicate:
            self._counts.letter(letter.reason)

    async def _send(self, letter: Letter) -> object:
        headers = {
            "Fleet-Origin": letter.origin,
            "Fleet-Subject": letter.subject,
            "Fleet-Detail": _header(letter.detail),
            "Nats-Msg-Id": f"{SERVICE}:{letter.origin}",
        }
        if len(letter.body) > DEAD_BYTES_MAX:
            headers["Fleet-Cut"] = str(len(letter.body))
        body = letter.body[:DEAD_BYTES_MAX]
        return await self._dead.append(dead_subject(SERVICE, letter.reason), body, headers=headers, timeout_s=DEAD_S)


def _portions(lines: Lines) -> Iterator[Portion]:
    """All lines, in order. A portion is closed when it holds what is committed at once."""
    source, done = lines(), 0
    while (portion := _portion(source, partial(_again, lines, done))).lines:
        done += portion.lines
        yield portion


def _portion(source: Iterator[Judged], again: Callable[[int], Iterator[Judged]]) -> Portion:
    """The next lines; none when there are no more. `again` gives as many of them as are asked for, once more."""
    portion = Portion(ReadyRows(lambda: (row for line in portion.again() for row in line.rows)), lambda: again(portion.lines))
    rows, size = portion.rows, 0
    for line in source:
        portion.lines += 1
        size += len(line.raw)
        for row in line.rows:
            rows.add(row)
        if line.letter is not None:
            portion.letters[line.letter.origin] = line.letter
        if portion.lines >= LINES_MAX or size >= LINE_BYTES_MAX or rows.full:
            break
    return portion


def _again(lines: Lines, first: int, count: int) -> Iterator[Judged]:
    return islice(lines(), first, first + count)


def _write(writer: QuestDbWriter, portion: Portion) -> int:
    """Commit the rows: how many of them there are now. What the database refuses becomes a letter, unless there is one."""
    faults = writer.write(portion.rows)
    owners = [line for line in portion.again() for _ in line.rows] if faults else []
    for fault in faults:
        letter = owners[fault.index].refused(fault.detail)
        portion.letters.setdefault(letter.origin, letter)
    return portion.rows.count - len(faults)


def _header(text: str) -> str:
    """One line of printable characters."""
    return "".join(character if character.isprintable() else " " for character in text).strip()
