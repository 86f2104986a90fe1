"""Rows into QuestDB: ILP over HTTP. `write` returns when the server has committed them; it is blocking, one per thread.

Every error counts as in doubt: whoever gets an `Outage` acknowledges nothing and writes the same rows again (each table
has dedup keys). Only a reply that names a row and blames its value makes that row bad.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import questdb
from questdb import QuestDBError, Sender, TimestampMicros

ROWS_MAX = 20_000
BYTES_MAX = 8 * 1024**2
"""Of one flush; a flush is one commit per table."""
CAREFUL_ROWS = 128
"""Of one flush while bad rows are being picked out: each costs a request with its neighbours."""
REQUEST_S = 3.0
BYTES_PER_S_MIN = 4 * 1024**2
"""A request may take `REQUEST_S` plus its size at this rate."""
_ROW_FAULTS = ("cast error", "value error", "out bounds of column type", "Could not parse entire line")
"""The refusals that a row's own values cause. All others are the schema's or the server's."""
_NO_SPACE = re.compile(r"errno: ?28\b|No space left", re.IGNORECASE)
_CLIENTS_WORDS = re.compile(r" \[id: [^,\]]*, code: (?P<code>[^,\]]*)(?:, line: (?P<line>[0-9]+))?\]\s*$")
_PLACE = re.compile(r"^.*error in line [0-9]+: ", re.DOTALL)
_DETAIL_MAX = 300
_REFUSALS = (QuestDBError, OverflowError, ValueError)
"""What the client raises for a value that it can never send."""
# Picking out bad rows reconnects many times a second, on purpose.
questdb._client.WARN_HIGH_RECONNECTS = False


class Row(Protocol):
    """A row of `table`: columns by name (absent: NULL), its designated timestamp in microseconds since 1970."""

    @property
    def table(self) -> str: ...
    @property
    def columns(self) -> Mapping[str, Any]: ...
    @property
    def at_us(self) -> int: ...


@dataclass(frozen=True, slots=True)
class RowFault:
    """The row at `index` of what was to be written cannot be stored, ever; the others are."""

    index: int
    detail: str


_PROTOCOL = 3
"""Of the line protocol: the server's, and the first with decimals."""


class ReadyRows:
    """Rows in the form in which they are sent, made in any thread. They are not kept: `again` makes them once more, the same
    and in the same order.
    """

    def __init__(self, again: Callable[[], Iterable[Row]]) -> None:
        self._again = again
        self.buffer = questdb._client.Buffer(_PROTOCOL)  # its public name is deprecated, and a sender's own needs a server
        self.count, self.refused = 0, False

    def add(self, row: Row) -> None:
        """One more row. `refused`: there is one that the client does not take. Raises TypeError for a value of unknown type."""
        self.count += 1
        try:
            self.buffer.row(row.table, columns=row.columns, at=TimestampMicros(row.at_us))
        except _REFUSALS:
            self.refused = True

    @property
    def full(self) -> bool:
        """As much as one flush may hold."""
        return self.count >= ROWS_MAX or len(self.buffer) >= BYTES_MAX

    def __iter__(self) -> Iterator[Row]:
        return iter(self._again())


class Outage(Exception):
    """Nothing is known to be stored: acknowledge nothing, wait, write the same rows again."""


class DiskFull(Outage):
    """QuestDB has no room. Free space first: writing on can crash the server."""


class SchemaBehind(Outage):
    """A table or column is missing or not what it should be: the rows are not to blame."""


class QuestDbWriter:
    """One connection, rebuilt after every error: a connection that saw an old schema refuses new columns for ever."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        secret = password.replace(";", ";;")
        self._configuration = (
            f"http::addr={host}:{port};username={user};password={secret};auto_flush=off;retry_timeout=0;"
            f"request_timeout={int(REQUEST_S * 1000)};request_min_throughput={BYTES_PER_S_MIN};"
        )
        self._sender: Any = None

    def write(self, rows: Sequence[Row] | ReadyRows) -> list[RowFault]:
        """Commit the rows, in order; those that cannot be stored come back. Raises `Outage`: then write all of them again.

        Ready rows are sent as they are; only when one of them is bad are they made again, to pick it out.
        """
        if not isinstance(rows, ReadyRows):
            return self._pick(rows)
        if not rows.refused and (not rows.count or self._send(rows)):
            return []
        return self._pick(list(rows))

    def _send(self, rows: ReadyRows) -> bool:
        """Commit them in one go; False when one is bad. Raises `Outage`."""
        self._connected()
        return self._flush(rows.count, rows.buffer) is None

    def _pick(self, rows: Sequence[Row]) -> list[RowFault]:
        faults: list[RowFault] = []
        waiting: Sequence[int] = range(len(rows))
        at_most = ROWS_MAX
        try:
            while waiting:
                sent, waiting = self._fill(rows, waiting, at_most, faults)
                named = self._flush(len(sent)) if sent else None
                if named is not None:
                    line, detail = named
                    faults.append(RowFault(sent[line - 1], detail))
                    waiting = [*sent[: line - 1], *sent[line:], *waiting]
                    at_most = CAREFUL_ROWS
        except BaseException:
            self.close()
            raise
        return faults

    def close(self) -> None:
        """Drop the connection and what it has not sent."""
        sender, self._sender = self._sender, None
        if sender is not None:
            with suppress(QuestDBError):
                sender.close(flush=False)

    def _fill(
        self, rows: Sequence[Row], waiting: Sequence[int], at_most: int, faults: list[RowFault]
    ) -> tuple[list[int], Sequence[int]]:
        """Put the rows of these numbers into the buffer: (those in it, those that wait on). A value the client itself refuses
        is a fault; one of a type it does not know is a programmer's error and raises TypeError.
        """
        sender = self._connected()
        put = sender.row
        sent: list[int] = []
        for position, index in enumerate(waiting[:at_most], 1):
            row = rows[index]
            try:
                put(row.table, columns=row.columns, at=TimestampMicros(row.at_us))
            except _REFUSALS as error:
                faults.append(RowFault(index, str(error)[:_DETAIL_MAX]))
                continue
            sent.append(index)
            if len(sender) >= BYTES_MAX:
                return sent, waiting[position:]
        return sent, waiting[at_most:]

    def _connected(self) -> Any:
        if self._sender is None:
            sender = Sender.from_conf(self._configuration)
            try:
                sender.establish()
            except QuestDBError as error:
                raise Outage(_short(error)) from error
            self._sender = sender
        return self._sender

    def _flush(self, sent: int, buffer: Any = None) -> tuple[int, str] | None:
        """Commit the buffer (None: the connection's own); or the bad row among the `sent` ones, from 1, and what is wrong.

        Raises `Outage`.
        """
        try:
            self._sender.flush(buffer)
        except QuestDBError as error:
            self.close()
            return _blamed(error, sent)
        return None


def _blamed(error: QuestDBError, sent: int) -> tuple[int, str]:
    code, line, message = _reply(str(error))
    if _NO_SPACE.search(message):
        raise DiskFull(_short(message)) from error
    if code != "invalid":
        raise Outage(_short(error)) from error
    if line is None or not 1 <= line <= sent or not any(fault in message for fault in _ROW_FAULTS):
        raise SchemaBehind(_short(message)) from error
    return line, _short(_PLACE.sub("", message))


def _reply(text: str) -> tuple[str, int | None, str]:
    """(code, line, message) of an exception's text: the server's JSON when the client could not read it, as with 9.3.4,
    whose messages hold raw line feeds; else the client's own words for it.
    """
    start, end = text.find("{"), text.rfind("}")
    try:
        reply = json.loads(text[start : end + 1], strict=False) if start >= 0 else None
    except ValueError:
        reply = None
    if isinstance(reply, dict) and "code" in reply:
        line = reply.get("line")
        return str(reply["code"]), line if isinstance(line, int) else None, str(reply.get("message", text))
    words = _CLIENTS_WORDS.search(text)
    if words is None:
        return "", None, text
    return words["code"], int(words["line"]) if words["line"] else None, text[: words.start()]


def _short(error: object) -> str:
    return " ".join(str(error).split())[:_DETAIL_MAX]
