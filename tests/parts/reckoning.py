"""The reckoning after a fault run: the log as the witness sees it, every ALLOW told, and every line in the database once."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from fleet_chassis.config import load_config
from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.log import Message
from fleet_chassis.questdb_sql import QuestDbSql
from fleet_contracts import AccountClock, OrderDecision
from parts.questdb import applied
from parts.witness import Witness
from risk_gateway.core.rules import Setup

CONFIG = Path(__file__).parents[2] / "deploy" / "config"


async def whole_log(log: JetStreamLog) -> list[Message]:
    """Every message of FLEET."""
    last = await log.last("fleet.*.*.*", timeout_s=5)
    assert last is not None
    found: list[Message] = []
    async for batch in log.read(1, ["fleet.*.*.*"]):
        found += batch
        if found and found[-1].seq >= last.seq:
            return found
    raise AssertionError("unreachable")


def witnessed(messages: Iterable[Message], allowed: Iterable[OrderDecision]) -> None:
    """Invariants 1 to 5."""
    config = load_config(CONFIG)
    witness = Witness(None, Setup(config.risk.accounts["main"], AccountClock.WALL, "qe1"))  # type: ignore[arg-type]
    for message in messages:
        witness.stored(message)
        witness.check()
    for answer in allowed:
        witness.acted(answer)
    witness.check()


async def everything_is_in_the_database(sql: QuestDbSql, messages: Sequence[Message]) -> None:
    """Invariant 6."""
    lines = [(message.seq, index) for message in messages for index, line in enumerate(message.body.split(b"\n")) if line]
    count = -1
    async with asyncio.timeout(60):
        while count < len(lines):
            await asyncio.sleep(0.5)
            await applied(sql)
            count = int((await sql.ask("select count() from events where stream = 'FLEET'")).first)
    await asyncio.sleep(1)
    await applied(sql)
    rows = (await sql.ask("select seq, line from events where stream = 'FLEET'")).rows
    assert sorted((int(seq), int(line)) for seq, line in rows) == sorted(lines)
    decided = int((await sql.ask("select count() from order_decisions")).first)
    assert decided == sum(b'"ORDER_DECISION"' in line for message in messages for line in message.body.split(b"\n"))
