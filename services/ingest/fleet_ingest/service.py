"""ingest: every stored line of FLEET and HEARTBEAT into QuestDB, exactly once; bad lines into DEAD. This file wires it up."""

import asyncio
from contextlib import AsyncExitStack

from fastapi import FastAPI

from fleet_chassis.clock import Clock, wall_clock
from fleet_chassis.config import SupervisorConfig, load_config
from fleet_chassis.durable_pull import DurablePull
from fleet_chassis.gc_pauses import GcPauses
from fleet_chassis.http_app import add_service_routes, serve
from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.nats_connection import Client, connected
from fleet_chassis.questdb_migrations import load_migrations
from fleet_chassis.questdb_server import JOURNAL
from fleet_chassis.questdb_sql import QuestDbSql
from fleet_chassis.questdb_writer import QuestDbWriter
from fleet_chassis.request_reply import RequestDoor
from fleet_chassis.service_app import VERSION, beat, lost_connection, together
from fleet_contracts import REGISTRY, AccountClock, Stream
from fleet_ingest.conditions import Conditions
from fleet_ingest.core.lines import Calendar
from fleet_ingest.database import Database, FreeBytes, free_bytes_of
from fleet_ingest.journal import SERVICE, Journal
from fleet_ingest.metrics import Counts, registry_of
from fleet_ingest.pump import Pump
from fleet_ingest.replay import SUBJECT, Replay
from fleet_ingest.settings import FleetSettings, instance_of, migrations_folder, password_of

CONSUMES = tuple(spec.type for spec in REGISTRY.values() if spec.journaled)
PRODUCES = ("HEARTBEAT",)
DURABLE = "ingest"
"""The consumer that fleet-init makes on each stream read here."""
NATS = "NATS"
__all__ = ["CONSUMES", "PRODUCES", "SERVICE", "Ingest", "calendar_of", "serve_ingest"]


class Ingest:
    """One ingest process: what it is told, and how it is. `run()` it until cancelled."""

    def __init__(self, settings: FleetSettings, *, clock: Clock = wall_clock, free_bytes: FreeBytes | None = None) -> None:
        self.conditions, self.counts, self.pauses = Conditions(), Counts(), GcPauses()
        self._settings, self._clock = settings, clock
        self._free_bytes = free_bytes or free_bytes_of(settings.fleet_home.data / "questdb")
        self._calendar = calendar_of(load_config(settings.config).supervisor)
        self._migrations = load_migrations(migrations_folder(settings))
        self._password = password_of(settings, JOURNAL)
        self.conditions.begin(NATS, "waiting for NATS")

    def make_app(self) -> FastAPI:
        """Health and metrics."""
        app = FastAPI(title=SERVICE, version=VERSION, description=__doc__ or "")
        add_service_routes(app, registry_of(self.counts, self.pauses), lambda: self.conditions.not_ready)
        return app

    async def run(self) -> None:
        """Journal until cancelled. Outages end by themselves; only a bug ends it otherwise."""
        settings = self._settings
        seed = settings.fleet_home.nats_seed(SERVICE)
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(connected(settings.nats, SERVICE, seed, on_lost=lost_connection))
            self.conditions.end(NATS)
            sql = await stack.enter_async_context(QuestDbSql(settings.questdb, JOURNAL, self._password))
            logs = {stream.value: await _opened(client, stream) for stream in (Stream.FLEET, Stream.HEARTBEAT, Stream.DEAD)}
            journal = Journal(self._make_writer, logs[Stream.DEAD], self._calendar, self._clock, self.counts)
            stack.callback(journal.close)
            replay = Replay(logs, journal, self.counts)
            door = RequestDoor(client, SUBJECT, replay.take)
            database = self._database(sql)
            await together(
                beat(client, SERVICE, instance_of(settings)),
                self._watch_connection(client),
                database.watch(),
                self._journal(client, database, journal, door),
                door.run(),
                replay.run(),
                self.pauses.serve(()),
            )

    async def _journal(self, client: Client, database: Database, journal: Journal, door: RequestDoor) -> None:
        await database.make_ready()
        door.open()
        arrived = asyncio.Event()
        pulls = [DurablePull(client, stream.value, DURABLE, arrived) for stream in (Stream.FLEET, Stream.HEARTBEAT)]
        pump = Pump(
            pulls,
            arrived,
            journal,
            conditions=self.conditions,
            counts=self.counts,
            clock=self._clock,
            allowed=database.look_at_room,
            mend=database.make_ready,
        )
        await pump.run()

    async def _watch_connection(self, client: Client) -> None:
        """Say so when NATS is away; the connection comes back by itself."""
        while True:
            self.conditions.put(NATS, None if client.is_connected else "NATS is away; the backlog waits in the streams")
            await asyncio.sleep(1)

    def _database(self, sql: QuestDbSql) -> Database:
        return Database(
            sql,
            self._migrations,
            expires=self._calendar.expires,
            commit=self._settings.questdb_commit,
            free_bytes=self._free_bytes,
            free_bytes_min=self._settings.free_bytes_min,
            conditions=self.conditions,
            counts=self.counts,
        )

    def _make_writer(self) -> QuestDbWriter:
        settings = self._settings
        host = settings.questdb_host or settings.host
        return QuestDbWriter(host, settings.questdb_http_port, JOURNAL, self._password)


def calendar_of(config: SupervisorConfig) -> Calendar:
    """Which event times can be kept, by the clocks of the accounts."""
    virtual = frozenset(name for name, account in config.accounts.items() if account.clock is AccountClock.EVENT)
    return Calendar(expires=not virtual, event_clock=virtual)


async def serve_ingest(settings: FleetSettings) -> None:
    """Run until cancelled, with HTTP on FLEET_HTTP_PORT, by default a free port (run/ingest.port)."""
    ingest = Ingest(settings)
    port_file = settings.fleet_home.port_file(SERVICE)
    await together(serve(ingest.make_app(), settings.host, settings.http_port, port_file), ingest.run())


async def _opened(client: Client, stream: Stream) -> JetStreamLog:
    log = JetStreamLog(client, stream)
    await log.open()
    return log
