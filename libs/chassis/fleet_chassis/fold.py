"""The fold: the log, in order, into a core. It never decides and never writes.

Skipped, and counted: lines that do not parse (only ingest dead-letters them), and messages under the service's own
fence without a well-formed `Fleet-Leader` header.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime

from fleet_chassis.core_api import Core
from fleet_chassis.log import Log, Message
from fleet_chassis.quick_read import quick_read
from fleet_contracts.entry import Entry, Fact
from fleet_contracts.parse import Provenance, parse
from fleet_contracts.subjects import FLEET_ACCOUNT, SubjectError, split_subject

LEADER_HEADER = "Fleet-Leader"
_LEADER = re.compile(r"[A-Za-z0-9_-]{1,64}\.[0-9]{1,19}")


def leader_of(message: Message) -> str | None:
    """The message's `Fleet-Leader` (`<instance>.<lease revision>`), None when absent or malformed."""
    leader = message.headers.get(LEADER_HEADER, "")
    return leader if leader and _LEADER.fullmatch(leader) else None


def anchor_of(message: Message) -> str:
    """What ties a snapshot to its log: the sha256 of the message it ends with."""
    return hashlib.sha256(message.subject.encode() + b"\n" + message.body).hexdigest()


class Fold:
    """Folds one account's messages, and those of the reserved account `fleet`, into a core."""

    def __init__(self, core: Core, *, service: str, account: str, seq: int = 0, anchor: str = "") -> None:
        self.core = core
        self.seq = seq
        self.at: datetime | None = None
        self.lines = 0
        self.skipped = 0
        self.listeners: list[Callable[[Entry], None]] = []
        self.recall: Callable[[bytes], Sequence[Fact] | None] = lambda _: None
        """The lines of a message this process has written itself: the same bytes need not be read again."""
        self._anchor = anchor
        self._last: Message | None = None
        self._service = service
        self._account = account
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def anchor(self) -> str:
        """What ties the state to its log (`anchor_of` the last message folded)."""
        return self._anchor if self._last is None else anchor_of(self._last)

    @property
    def subjects(self) -> Sequence[str]:
        """What this fold reads."""
        return [f"fleet.{self._account}.*.*", f"fleet.{FLEET_ACCOUNT}.*.*"]

    async def follow(self, log: Log, after: Callable[[], None]) -> None:
        """Fold for ever from where it stands; `after` runs once per batch (an idle batch too)."""
        async for batch in log.read(self.seq + 1, self.subjects):
            for message in batch:
                self.apply(message)
            after()
            if len(batch) > 1:
                await asyncio.sleep(0)

    def apply(self, message: Message) -> None:
        """Fold one message whole."""
        for entry in self._entries(message):
            self.core.evolve(entry)
            self.lines += 1
            for listener in self.listeners:
                listener(entry)
        self.seq, self.at, self._last = message.seq, message.at, message
        if self._waiting:
            self._wake()

    async def reach(self, seq: int, timeout_s: float) -> bool:
        """Wait until the message `seq` is folded; False when it takes longer."""
        if self.seq >= seq:
            return True
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((seq, arrived))
        try:
            async with asyncio.timeout(timeout_s):
                await arrived
        except TimeoutError:
            return False
        finally:
            self._waiting = [(wanted, future) for wanted, future in self._waiting if future is not arrived]
        return True

    def _entries(self, message: Message) -> list[Entry]:
        try:
            address = split_subject(message.subject)
        except SubjectError:
            self.skipped += 1
            return []
        leader = leader_of(message)
        if leader is None and address.source == self._service and address.account == self._account:
            self.skipped += 1
            return []
        if leader is not None and address.source == self._service and address.account == self._account:
            facts = self.recall(message.body)
            if facts is not None:
                return [
                    Entry(address, fact, fact.line, message.seq, line, message.at, leader) for line, fact in enumerate(facts)
                ]
        parsed = parse(message.subject, message.body, Provenance("FLEET", message.seq, message.at), quick_read)
        self.skipped += len(parsed.bad)
        return [Entry(address, line.event, line.raw, message.seq, line.index, message.at, leader) for line in parsed.lines]

    def _wake(self) -> None:
        for wanted, future in self._waiting:
            if wanted <= self.seq and not future.done():
                future.set_result(None)
