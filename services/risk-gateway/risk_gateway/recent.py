"""The newest decisions in memory, so that people can look at them without reading the log."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fleet_chassis.log import Message
from fleet_chassis.quick_read import quick_read
from fleet_contracts import Decision, Entry, Fact, OrderDecision, Provenance, parse
from risk_gateway.core.decision import NewDecision

KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter; what is None does not matter. `since`, `until` are inclusive, aware UTC."""

    since: datetime | None = None
    until: datetime | None = None
    bot: str | None = None
    decision: str | None = None
    reason: str | None = None

    def fits(self, row: "Stored") -> bool:
        """Whether a decision passes."""
        return (
            (self.since is None or row.ts >= self.since)
            and (self.until is None or row.ts <= self.until)
            and (self.bot is None or row.bot == self.bot)
            and (self.decision is None or row.decision == self.decision)
            and (self.reason is None or row.reason == self.reason)
        )


@dataclass(slots=True)
class Stored:
    """A stored decision and its place; `cursor` grows with the log. Ten thousand are kept, so they stay lines until somebody
    looks at them.
    """

    seq: int
    line: int
    raw: bytes
    ts: datetime
    bot: str
    order_id: str
    decision: str
    reason: str

    @property
    def cursor(self) -> str:
        return f"{self.seq}.{self.line}"


def _row(seq: int, line: int, raw: bytes, event: OrderDecision) -> Stored:
    assert event.ts is not None
    return Stored(seq, line, raw, event.ts, event.bot, event.order_id, event.decision, event.reason)


def decisions_of(message: Message, wanted: Wanted) -> list[Stored]:
    """The matching decisions of a stored message."""
    parsed = parse(message.subject, message.body, Provenance("FLEET", message.seq, message.at), quick_read)
    rows = [
        _row(message.seq, line.index, line.raw, line.event) for line in parsed.lines if isinstance(line.event, OrderDecision)
    ]
    return [row for row in rows if wanted.fits(row)]


class Recent:
    """The newest 10,000 decisions of an account, as the fold meets them."""

    def __init__(self, kept: int = KEPT) -> None:
        self._rows: deque[Stored] = deque(maxlen=kept)
        self._since = 0

    def see(self, entry: Entry) -> None:
        """A listener of the fold."""
        told = entry.what.told if isinstance(entry.what, Fact) else None
        if isinstance(told, NewDecision):
            asked = told.asked
            decision = Decision.ALLOW if told.refusal is None else Decision.DENY
            row = Stored(entry.seq, entry.line, entry.raw, asked.now, asked.bot, told.order.order_id, decision, told.reason)
            self._rows.append(row)
        elif isinstance(entry.event, OrderDecision) and entry.leader is not None:
            self._rows.append(_row(entry.seq, entry.line, entry.raw, entry.event))

    @property
    def oldest(self) -> int:
        """The sequence from which on nothing is missing here."""
        full = len(self._rows) == self._rows.maxlen
        return self._rows[0].seq + 1 if full else self._since  # of the oldest message some lines may be gone

    def begin(self, seq: int) -> None:
        """Only what comes from this sequence on is going to be seen; what is before it is in the log."""
        self._since = seq

    def prepend(self, older: list[Stored], since: int) -> None:
        """What the log has before the oldest row here, complete from `since` on; oldest first."""
        room = (self._rows.maxlen or 0) - len(self._rows)
        for row in reversed(older[len(older) - room :] if room < len(older) else older):
            self._rows.appendleft(row)
        self._since = since

    def newest_first(self, wanted: Wanted) -> Iterator[Stored]:
        """Matching decisions, newest first."""
        return (row for row in reversed(self._rows) if wanted.fits(row))

    def after(self, seq: int, line: int, wanted: Wanted) -> Iterator[Stored]:
        """Matching decisions behind a cursor, oldest first."""
        return (row for row in self._rows if (row.seq, row.line) > (seq, line) and wanted.fits(row))

    def find(self, order_id: str, bot: str | None) -> list[Stored]:
        """All decisions of an order id, oldest first."""
        return [row for row in self._rows if row.order_id == order_id and bot in (None, row.bot)]
