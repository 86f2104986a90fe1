"""The decisions of an account as people look at them: the newest from memory, older ones read from the log."""

import asyncio
import contextlib

from fleet_chassis.log import Log
from fleet_contracts import event_subject
from risk_gateway.core.memory import Memory, id_hash
from risk_gateway.core.state import SERVICE
from risk_gateway.recent import KEPT, Recent, Stored, Wanted, decisions_of

READ_TIMEOUT_S = 2.0


class History:
    """`recent` hears of every decision that is folded; `memory` knows where the decision of an id stands."""

    def __init__(self, account: str, log: Log, recent: Recent, memory: Memory) -> None:
        self.recent = recent
        self._log, self._memory = log, memory
        self._subject = event_subject(account, "ORDER_DECISION", SERVICE)

    async def fill(self) -> None:
        """After a start from a snapshot: the newest decisions before it, read back from the log."""
        oldest = self.recent.oldest
        seqs = [seq for seq in self._memory.newest_seqs(KEPT) if seq < oldest]
        if not seqs:
            return
        found = await self._read(seqs[0], -1, Wanted(), 2 * KEPT)
        self.recent.prepend([row for row in found if row.seq < oldest], seqs[0])

    async def of_order(self, order_id: str, bot: str) -> list[Stored]:
        """The decision of a bot's order that has left the memory of recent ones. Raises `LogUnavailable`."""
        memo = self._memory.find(id_hash(bot, order_id))
        if memo is None:
            return []
        message = await self._log.get(memo.seq, timeout_s=READ_TIMEOUT_S)
        found = decisions_of(message, Wanted()) if message is not None else []
        return [row for row in found if row.line == memo.line]

    async def behind(self, seq: int, line: int, wanted: Wanted, limit: int) -> list[Stored]:
        """Matching decisions behind a cursor, at most `limit`, oldest first; those not in memory from the log."""
        if seq + 1 >= self.recent.oldest:
            return [row for row, _ in zip(self.recent.after(seq, line, wanted), range(limit), strict=False)]
        older = await self._read(seq, line, wanted, limit)
        if len(older) < limit:
            newer = self.recent.after(*((older[-1].seq, older[-1].line) if older else (seq, line)), wanted)
            older += [row for row, _ in zip(newer, range(limit - len(older)), strict=False)]
        return older

    async def _read(self, seq: int, line: int, wanted: Wanted, limit: int) -> list[Stored]:
        """From the log, a message at a time so that nobody who asks for an order waits for it; stops where memory begins."""
        found: list[Stored] = []
        async with contextlib.aclosing(self._log.read(max(seq, 1), [self._subject])) as batches:  # type: ignore[type-var]
            async for batch in batches:
                for message in batch:
                    found += [row for row in decisions_of(message, wanted) if (row.seq, row.line) > (seq, line)]
                    await asyncio.sleep(0)
                if not batch or len(found) >= limit or batch[-1].seq >= self.recent.oldest:
                    break
        return found[:limit]
