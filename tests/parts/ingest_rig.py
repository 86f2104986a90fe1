"""Ingest in this process between a real NATS and a real QuestDB, and the questions tests ask about what arrived."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.log import Message, Stored
from fleet_chassis.questdb_sql import QuestDbSql
from fleet_chassis.settings import FleetSettings
from fleet_ingest.service import Ingest
from parts.nats import Nats
from parts.questdb import QuestDb, applied

CONFIG = Path(__file__).parents[2] / "deploy" / "config"
PATIENCE_S = 30.0


def settings_of(folder: Path, nats: Nats, questdb: QuestDb, config: Path = CONFIG) -> FleetSettings:
    """A home whose secrets are those of the two servers."""
    secrets = folder / "home" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "nats").symlink_to(nats.seeds)
    (secrets / "questdb").symlink_to(questdb.passwords)
    (folder / "home" / "data" / "questdb").mkdir(parents=True)
    return FleetSettings(
        home=folder / "home",
        config=config,
        nats_url=nats.url,
        questdb_http_port=questdb.settings.http_port,
        questdb_pg_port=questdb.settings.pg_port,
        questdb_health_port=questdb.settings.health_port,
        questdb_commit="nosync",
    )


class Rig:
    """Publishes as `fleet-init`, which may write anything, and looks at what came of it."""

    def __init__(self, client: Client, sql: QuestDbSql, settings: FleetSettings) -> None:
        self.client, self.sql, self.settings = client, sql, settings
        self.logs = {stream: JetStreamLog(client, stream) for stream in ("FLEET", "HEARTBEAT", "DEAD")}

    async def publish(self, subject: str, *lines: bytes | Mapping[str, object], **headers: str) -> int:
        """Store one message of these lines; its sequence."""
        body = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
        stream = "HEARTBEAT" if ".heartbeat." in subject else "FLEET"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        outcome = await self.logs[stream].append(subject, body, headers=named, timeout_s=5)
        assert isinstance(outcome, Stored), outcome
        return outcome.seq

    async def drained(self, within_s: float = PATIENCE_S) -> None:
        """Wait until ingest has acknowledged everything and every row can be seen."""
        await self.acknowledged(within_s)
        await applied(self.sql)

    async def acknowledged(self, within_s: float = PATIENCE_S) -> None:
        """Wait until ingest has acknowledged everything."""
        left: object = "not asked yet"
        try:
            async with asyncio.timeout(within_s):
                while left:
                    left = [await self._unacknowledged(stream) for stream in ("FLEET", "HEARTBEAT")]
                    left = [count for count in left if count]
                    if left:
                        await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not acknowledged after {within_s} s: {left}") from None

    async def rows(self, query: str) -> list[dict[str, Any]]:
        answer = await self.sql.ask(query)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    async def count(self, what: str) -> int:
        """`select count() from …`"""
        return int((await self.sql.ask(f"select count() from {what}")).first)

    async def letters(self) -> dict[str, Message]:
        """All dead letters by origin; fails when an origin has two."""
        found: dict[str, Message] = {}
        seq = 1
        while (letter := await self.logs["DEAD"].first(seq, "dead.>", timeout_s=5)) is not None:
            origin = letter.headers["Fleet-Origin"]
            assert origin not in found, f"two letters for {origin}"
            found[origin] = letter
            seq = letter.seq + 1
        return found

    async def _unacknowledged(self, stream: str) -> int:
        from fleet_chassis.jetstream_api import api

        answer = await api(self.client, f"CONSUMER.INFO.{stream}.ingest", {}, 5)
        return int(answer["num_pending"]) + int(answer["num_ack_pending"])


@asynccontextmanager
async def rig(settings: FleetSettings, nats: Nats, questdb: QuestDb) -> AsyncIterator[Rig]:
    """The outside of ingest, without ingest."""
    async with nats.connect("fleet-init") as client, questdb.sql() as sql:
        outside = Rig(client, sql, settings)
        for log in outside.logs.values():
            await log.open()
        yield outside


@asynccontextmanager
async def running_ingest(settings: FleetSettings, **options: Any) -> AsyncIterator[Ingest]:
    """An ingest at work; stopped at the end, and its crash, if any, raised."""
    ingest = Ingest(settings, **options)
    task = asyncio.create_task(ingest.run())
    try:
        yield ingest
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()  # type: ignore[misc]
