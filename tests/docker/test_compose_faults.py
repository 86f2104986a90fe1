"""`docker kill` of every container in turn, under load with limits that bite: the invariants of the native fault test hold.

Docker does not restart what was killed by its own command, so each is started again by hand, as an operator would.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio

from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.log import Message
from fleet_chassis.nats_connection import connected
from fleet_chassis.questdb_server import JOURNAL, read_password
from fleet_chassis.questdb_sql import QuestDbSql
from parts.compose import FILE
from parts.docker import ComposeFleet, compose_fleet, docker, needs_docker
from parts.load import Load
from parts.reckoning import everything_is_in_the_database, whole_log, witnessed

pytestmark = needs_docker
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))
KILLED = ("ingest", "risk-gateway", "nats", "questdb")
HEALTHY_S = 60
AWAY_S, CALM_S = 0.7, 2.5


@dataclass
class Door:
    """Where the load asks, and with which tokens."""

    url: str
    secrets: Path

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {(self.secrets / 'tokens' / f'{name}.token').read_text().strip()}"}


@dataclass
class Scene:
    fleet: ComposeFleet
    secrets: Path
    load: Load
    sql: QuestDbSql

    async def messages(self) -> list[Message]:
        nats = f"nats://127.0.0.1:{self.fleet.ports['FLEET_NATS_PORT']}"
        async with connected(nats, "fleet-init", self.secrets / "nats" / "fleet-init.nk") as client:
            log = JetStreamLog(client, "FLEET")
            await log.open()
            return await whole_log(log)

    async def healthy(self) -> None:
        async with asyncio.timeout(HEALTHY_S):
            while not await asyncio.to_thread(self.fleet.healthy):
                await asyncio.sleep(0.5)


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        fleet = stack.enter_context(compose_fleet(str(FILE)))
        await asyncio.to_thread(fleet.up)
        secrets = await asyncio.to_thread(fleet.secrets, tmp_path)
        nats = f"nats://127.0.0.1:{fleet.ports['FLEET_NATS_PORT']}"
        client = await stack.enter_async_context(connected(nats, "qe1", secrets / "nats" / "qe1.nk"))
        password = read_password(secrets / "questdb", JOURNAL)
        sql = await stack.enter_async_context(QuestDbSql(fleet.url("FLEET_QUESTDB_HTTP_PORT"), JOURNAL, password, timeout_s=10))
        load = Load(Door(fleet.url("FLEET_GATEWAY_PORT"), secrets), client, pace_s=0.02)  # type: ignore[arg-type]
        yield Scene(fleet, secrets, load, sql)


async def test_killing_every_container_in_turn_breaks_no_invariant(scene: Scene) -> None:
    trading = asyncio.create_task(scene.load.run())
    await asyncio.sleep(2)
    for _ in range(ROUNDS):
        for name in KILLED:
            container = scene.fleet.containers()[name]["Id"]
            await asyncio.to_thread(docker, "kill", container)
            await asyncio.sleep(AWAY_S)
            await asyncio.to_thread(docker, "start", container)
            await scene.healthy()
            await asyncio.sleep(CALM_S)
    scene.load.stop()
    await asyncio.wait_for(trading, 10)

    reasons = scene.load.reasons
    assert reasons["OK"] > 50, reasons
    assert reasons["SYMBOL_NOTIONAL_TOO_LARGE"] > 10, f"the limits did not bite: {reasons}"
    assert not scene.load.errors, f"an order got an error instead of an answer: {scene.load.errors}"
    messages = await scene.messages()
    witnessed(messages, scene.load.allowed)
    await everything_is_in_the_database(scene.sql, messages)
