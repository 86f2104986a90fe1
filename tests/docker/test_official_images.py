"""The servers as their official images run them: NATS takes our configuration, QuestDB every one of our settings."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy

from fleet_chassis.fleet_init import provision
from fleet_chassis.home import FleetHome
from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.log import Fence, Stored, WrongLast
from fleet_chassis.nats_connection import connected
from fleet_chassis.questdb_migrations import load_migrations, migrate
from fleet_chassis.questdb_server import JOURNAL, QuestDbServer
from fleet_chassis.questdb_sql import QuestDbSql
from fleet_chassis.settings import FleetSettings
from fleet_cli.container import hand_out
from fleet_contracts import Stream
from fleet_ingest.database import wanted_tables
from parts.compose import ROOT, SERVICES_OF_COMPOSE, plain
from parts.docker import needs_docker
from parts.trading import equity

pytestmark = needs_docker


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> FleetHome:
    """What the container `prepare` makes."""
    settings = FleetSettings(
        home=tmp_path_factory.mktemp("home"),
        config=ROOT / "deploy" / "config",
        host="0.0.0.0",
        nats_sync="10s",
        journal_bytes_max=2**26,
    )
    hand_out(settings)
    for path in (home := settings.fleet_home).part_secrets("questdb").iterdir():
        path.chmod(0o644)  # in these containers nobody shares a user with the tests
    home.part_secrets("questdb").chmod(0o755)
    return home


@pytest.fixture(scope="module")
def nats(home: FleetHome) -> Iterator[str]:
    service = SERVICES_OF_COMPOSE["nats"]
    container = DockerContainer(service["image"]).with_exposed_ports(4222, 8222).with_command(" ".join(service["command"]))
    container.with_volume_mapping(str(home.part_secrets("nats")), "/etc/fleet")
    with container.waiting_for(HttpWaitStrategy(8222, "/healthz").for_status_code(200)) as running:
        yield f"nats://{running.get_container_host_ip()}:{running.get_exposed_port(4222)}"


@pytest_asyncio.fixture
async def questdb(home: FleetHome) -> AsyncIterator[QuestDbSql]:
    service = SERVICES_OF_COMPOSE["questdb"]
    container = DockerContainer(service["image"]).with_exposed_ports(9000, 9003).with_envs(**plain(service["environment"]))
    container.with_volume_mapping(str(home.part_secrets("questdb")), "/run/secrets")
    container.waiting_for(HttpWaitStrategy(9003).for_status_code(200))
    with container as running:
        url = f"http://{running.get_container_host_ip()}:{running.get_exposed_port(9000)}"
        password = home.questdb_password(JOURNAL).read_text().strip()
        async with QuestDbSql(url, JOURNAL, password, timeout_s=20) as sql:
            yield sql


async def test_nats_takes_our_configuration_our_users_and_our_streams(nats: str, home: FleetHome) -> None:
    async with connected(nats, "fleet-init", home.nats_seed("fleet-init")) as client:
        await provision(client, fleet_bytes_max=2**26)
        await provision(client, fleet_bytes_max=2**26)
        log = JetStreamLog(client, Stream.FLEET)
        await log.open()
        async with connected(nats, "qe1", home.nats_seed("qe1")) as bot:
            subject, body = equity("10000", datetime.now(UTC))
            reply = await bot.request(subject, body, timeout=5)
            assert b"error" not in reply.data
        last = await log.last(subject, timeout_s=5)
        assert last is not None
        assert last.body == body


async def test_of_two_writers_under_one_fence_one_is_stored(nats: str, home: FleetHome) -> None:
    async with connected(nats, "fleet-init", home.nats_seed("fleet-init")) as client:
        await provision(client, fleet_bytes_max=2**26)
        log = JetStreamLog(client, Stream.FLEET)
        await log.open()
        fence = Fence("fleet.main.*.risk-gateway", 0)
        subject = "fleet.main.order_decision.risk-gateway"
        outcomes = [await log.append(subject, body, fence=fence, timeout_s=5) for body in (b"{}", b"{ }")]
        assert [type(outcome) for outcome in outcomes] == [Stored, WrongLast]


async def test_questdb_takes_every_setting_and_every_migration(questdb: QuestDbSql) -> None:
    server = QuestDbServer("0.0.0.0", 9000, 8812, 9003, Path("/var/lib/questdb"), Path("/run/secrets"), Path("/tmp"))
    await server.check(questdb)
    migrations = load_migrations(ROOT / "deploy" / "questdb" / "migrations")
    assert await migrate(questdb, migrations, wanted_tables(expires=True)) == [migration.name for migration in migrations]
    assert await migrate(questdb, migrations, wanted_tables(expires=True)) == []
