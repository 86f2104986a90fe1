"""Messages into QuestDB and DEAD: rows committed first, then letters with their PubAck. Doing it twice is doing it once."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from fleet_chassis.clock import Clock
from fleet_chassis.log import Log, Stored
from fleet_chassis.questdb_writer import QuestDbWriter
from fleet_chassis.quick_read import quick_read
from fleet_chassis.worker_thread import Stalled, WorkerThread
from fleet_contracts.subjects import dead_subject
from fleet_ingest.core.lines import Calendar, Judged, Letter, StoredMessage, judge
from fleet_ingest.core.rows import Row
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


class Journal:
    """Owns the writer and its thread. Calls may overlap; they are done in order of asking."""

    def __init__(
        self, make_writer: Callable[[], QuestDbWriter], dead: Log, calendar: Calendar, clock: Clock, counts: Counts
    ) -> None:
        self._make_writer, self._dead = make_writer, dead
        self._calendar, self._clock, self._counts = calendar, clock, counts
        self._thread = WorkerThread("questdb-writer")
        self._writer = make_writer()

    async def store(self, messages: Sequence[StoredMessage]) -> None:
        """All lines of the messages committed, all bad ones in DEAD. Raises `Outage`, `Stalled`: then store them again."""
        now = self._clock()
        lines = (line for message in messages for line in judge(message, self._calendar, now, quick_read))
        while True:
            written, letters = await self._next(lines)
            if not written:
                return
            await self.bury(letters)

    def judged(self, message: StoredMessage) -> Iterator[Judged]:
        """The lines of a message as `store` would take them now."""
        return judge(message, self._calendar, self._clock(), quick_read)

    async def write(self, lines: Iterable[Judged]) -> list[Letter]:
        """Commit these lines; the letters of the bad ones, not sent. Raises `Outage`, `Stalled`."""
        source = iter(lines)
        letters: list[Letter] = []
        while True:
            written, more = await self._next(source)
            if not written:
                return letters
            letters += more

    async def bury(self, letters: Sequence[Letter]) -> None:
        """Every letter in DEAD, with its PubAck, however long it takes; one that is there already is not doubled."""
        for start in range(0, len(letters), LETTERS_AT_ONCE):
            await asyncio.gather(*(self._bury(letter) for letter in letters[start : start + LETTERS_AT_ONCE]))

    def close(self) -> None:
        """Let the thread go."""
        self._thread.close()

    async def _next(self, lines: Iterator[Judged]) -> tuple[int, list[Letter]]:
        """Commit the next lines: how many, and the letters of the bad ones. 0: there are no more."""
        writer = self._writer
        try:
            lines_written, rows_written, letters = await self._thread.run(lambda: _write(writer, lines), WRITE_S_MAX)
        except Stalled:
            self._writer = self._make_writer()
            raise
        self._counts.lines += lines_written
        self._counts.rows += rows_written
        return lines_written, letters

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


def _write(writer: QuestDbWriter, lines: Iterator[Judged]) -> tuple[int, int, list[Letter]]:
    """In the writer's thread: the next lines as rows, committed. (lines, rows, letters)"""
    owners: list[Judged] = []
    rows: list[Row] = []
    letters: list[Letter] = []
    count = size = 0
    for line in lines:
        count += 1
        size += len(line.raw)
        rows += line.rows
        owners += [line] * len(line.rows)
        if line.letter is not None:
            letters.append(line.letter)
        if count >= LINES_MAX or size >= LINE_BYTES_MAX:
            break
    refused: dict[str, Letter] = {}
    for fault in writer.write(rows):
        letter = owners[fault.index].refused(fault.detail)
        refused.setdefault(letter.origin, letter)
    known = {letter.origin for letter in letters}
    letters += [letter for origin, letter in refused.items() if origin not in known]
    return count, len(rows) - len(refused), letters


def _header(text: str) -> str:
    """One line of printable characters."""
    return "".join(character if character.isprintable() else " " for character in text).strip()
