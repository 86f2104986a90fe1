"""Gateway, ingest, NATS and QuestDB killed in turn under load with limits that bite.

Invariants 1 to 5 by the witness, 6 by counting: every stored line of FLEET is in QuestDB once.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from fleet_chassis.log import Message
from fleet_chassis.questdb_sql import QuestDbSql
from parts.gateway import ROOT, GatewayProcess
from parts.load import Load
from parts.nats import Nats, logs, running
from parts.questdb import QuestDb, questdb
from parts.reckoning import everything_is_in_the_database, whole_log, witnessed

pytestmark = [pytest.mark.faults, pytest.mark.timeout(170)]
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))


class IngestProcess:
    """`python -m fleet_ingest`, which can be killed and started again."""

    def __init__(self, gateway: GatewayProcess, nats: Nats, database: QuestDb) -> None:
        self._home = gateway.home
        home = self._home
        home.questdb_passwords.rmdir()
        home.questdb_passwords.symlink_to(database.passwords)
        home.nats_seed("ingest").write_bytes(nats.seed("ingest").read_bytes())
        self._environment = {
            **os.environ,
            "FLEET_HOME": str(home.root),
            "FLEET_CONFIG": str(ROOT / "deploy" / "config"),
            "FLEET_NATS_URL": nats.url,
            "FLEET_QUESTDB_HTTP_PORT": str(database.settings.http_port),
            "FLEET_QUESTDB_PG_PORT": str(database.settings.pg_port),
            "FLEET_QUESTDB_HEALTH_PORT": str(database.settings.health_port),
            "FLEET_QUESTDB_COMMIT": "nosync",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._home.log_file("ingest").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fleet_ingest"], env=self._environment, stdout=output, stderr=output
            )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


@dataclass
class Fleet:
    nats: Nats
    database: QuestDb
    gateway: GatewayProcess
    ingest: IngestProcess
    load: Load
    sql: QuestDbSql

    async def messages(self) -> list[Message]:
        async with logs(self.nats, "fleet-init") as (log,):
            return await whole_log(log)


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        database = stack.enter_context(questdb(tmp_path / "questdb"))
        nats = await stack.enter_async_context(running(tmp_path / "nats"))
        gateway = GatewayProcess(tmp_path / "home", nats)
        ingest = IngestProcess(gateway, nats, database)
        stack.callback(ingest.kill)
        stack.callback(gateway.kill)
        gateway.start()
        await database.ready()
        ingest.start()
        await gateway.ready()
        client = await stack.enter_async_context(nats.connect("qe1"))
        sql = await stack.enter_async_context(database.sql())
        yield Fleet(nats, database, gateway, ingest, Load(gateway, client, pace_s=0.01), sql)


async def test_killing_every_part_in_turn_loses_nothing_and_doubles_nothing(fleet: Fleet) -> None:
    trading = asyncio.create_task(fleet.load.run())
    await asyncio.sleep(2)
    for _ in range(ROUNDS):
        for kill, start, pause_s in (
            (fleet.ingest.kill, fleet.ingest.start, 0.5),
            (fleet.gateway.kill, fleet.gateway.start, 0.3),
            (fleet.nats.server.kill, fleet.nats.server.start, 1.0),
            (fleet.database.kill, fleet.database.start, 1.0),
        ):
            await _outage(kill, start, pause_s)
    fleet.load.stop()
    await asyncio.wait_for(trading, 10)

    reasons = fleet.load.reasons
    assert reasons["OK"] > 50, reasons
    assert reasons["SYMBOL_NOTIONAL_TOO_LARGE"] > 10, f"the limits did not bite: {reasons}"
    assert not fleet.load.errors, f"an order got an error instead of an answer: {fleet.load.errors}"
    messages = await fleet.messages()
    witnessed(messages, fleet.load.allowed)
    await fleet.database.ready()
    await everything_is_in_the_database(fleet.sql, messages)


async def _outage(kill: Callable[[], None], start: Callable[[], None], pause_s: float) -> None:
    kill()
    await asyncio.sleep(pause_s)
    start()
    await asyncio.sleep(2.5)
