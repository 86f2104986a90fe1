"""The one list of parts of a fleet: what runs, in which order, how it is known to be ready, and what it needs before.

The names are those of WIRE: folders of services, `nats`, `questdb`, `fleet-init`, and the bot's id for the simulator.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from fleet_chassis.config import Config, ConfigError, load_config
from fleet_chassis.fleet_init import store_bytes_max
from fleet_chassis.nats_config import ServerSettings, server_config
from fleet_chassis.nats_server import NoNatsServer, nats_command
from fleet_chassis.process import Part
from fleet_chassis.process_child import Program
from fleet_chassis.process_files import write_whole
from fleet_chassis.process_probe import HttpProbe
from fleet_chassis.questdb_jar import NoQuestDb, fetch_jar, jar_path
from fleet_chassis.questdb_server import QuestDbProbe, QuestDbServer
from fleet_chassis.settings import FleetSettings
from fleet_cli.exits import CliError, Exit
from fleet_cli.output import say
from fleet_cli.preflight import WantedPort
from fleet_cli.secret_files import make_secrets, nats_users
from fleet_cli.where import STANDBY

SIMULATOR = "qe1"
"""The part, and the bot, that `--with-simulator` adds."""
SERVICES = {"risk-gateway": "risk_gateway", "ingest": "fleet_ingest"}
"""Service → the module that is its program."""


def programs(settings: FleetSettings, extras: Sequence[str]) -> list[Program]:
    """Every part, each after those it needs. Services start in any order; ours keeps their first minute quiet."""
    parts = [_nats(settings), _questdb(settings), _fleet_init(), _gateway(settings), _ingest(settings)]
    more = {STANDBY: _standby, SIMULATOR: _simulator}
    return [*parts, *(make(settings) for name, make in more.items() if name in extras)]


def wanted_ports(settings: FleetSettings) -> list[WantedPort]:
    """Every fixed port of the parts above."""
    fields = (
        ("nats", "nats_port"),
        ("nats", "nats_monitor_port"),
        ("questdb", "questdb_http_port"),
        ("questdb", "questdb_pg_port"),
        ("questdb", "questdb_health_port"),
        ("risk-gateway", "gateway_port"),
    )
    return [WantedPort(part, getattr(settings, field), f"FLEET_{field.upper()}") for part, field in fields]


def prepare(settings: FleetSettings) -> None:
    """Make what the parts find at their start: secrets, the server's configuration. Raises `CliError`."""
    try:
        config = load_config(settings.config)
        make_secrets(settings.fleet_home, config, SERVICES)
        home = settings.fleet_home
        write_whole(home.run / "nats.conf", nats_config(settings, config, home.data / "nats"))
        _prepare_questdb(settings)
    except ConfigError as error:
        raise CliError(str(error), Exit.USAGE) from error
    except (NoNatsServer, NoQuestDb, ValueError) as error:
        raise CliError(str(error)) from error


def nats_config(settings: FleetSettings, config: Config, store: Path) -> str:
    """The configuration of the fleet's NATS server, which keeps its data in `store`. Raises ValueError for a bad seed file."""
    server = ServerSettings(
        name="fleet-1",
        host=settings.host,
        port=settings.nats_port,
        monitor_port=settings.nats_monitor_port,
        store=store,
        sync=settings.nats_sync,
        file_bytes_max=store_bytes_max(settings.journal_bytes_max),
    )
    return server_config(server, nats_users(settings.fleet_home, config, SERVICES))


def _prepare_questdb(settings: FleetSettings) -> None:
    _questdb_server(settings).prepare()
    fetch_jar(
        settings.cache,
        before=lambda damaged: say(
            f"{'the kept QuestDB is damaged; ' if damaged else ''}fetching QuestDB (30 MB, once; kept in {settings.cache})"
        ),
    )


def _nats(settings: FleetSettings) -> Program:
    return Program(
        Part("nats", stop_s=20),
        tuple(nats_command(settings.fleet_home.run / "nats.conf")),
        probe=nats_probe(settings),
        port=settings.nats_port,
        address=settings.nats,
    )


def nats_probe(settings: FleetSettings) -> HttpProbe:
    """JetStream answers."""
    return HttpProbe(settings.host, settings.nats_monitor_port, "/healthz?js-enabled-only=true")


def _questdb(settings: FleetSettings) -> Program:
    server = _questdb_server(settings)
    return Program(
        Part("questdb", stop_s=20),
        tuple(server.command(jar_path(settings.cache))),
        server.environment(),
        probe=questdb_probe(settings),
        port=settings.questdb_http_port,
        address=f"http://{server.host}:{settings.questdb_http_port}",
    )


def _questdb_server(settings: FleetSettings) -> QuestDbServer:
    home = settings.fleet_home
    return QuestDbServer(
        host=settings.questdb_host or settings.host,
        http_port=settings.questdb_http_port,
        pg_port=settings.questdb_pg_port,
        health_port=settings.questdb_health_port,
        data=home.data / "questdb",
        passwords=home.questdb_passwords,
        logs=home.logs,
        heap=settings.questdb_heap,
        commit=settings.questdb_commit,
    )


def questdb_probe(settings: FleetSettings) -> QuestDbProbe:
    """SQL is answered."""
    server = _questdb_server(settings)
    return QuestDbProbe(f"http://{server.host}:{server.http_port}", server.passwords)


def _fleet_init() -> Program:
    return Program(Part("fleet-init", after=("nats",), one_shot=True), _module("fleet_chassis.fleet_init"))


def _gateway(settings: FleetSettings) -> Program:
    home, name = settings.fleet_home, "risk-gateway"
    return Program(
        Part(name, after=("fleet-init",)),
        _module(SERVICES[name]),
        probe=HttpProbe(settings.host, home.port_file(name)),
        address=f"http://{settings.host}:{settings.gateway_port}",
    )


def _standby(settings: FleetSettings) -> Program:
    """On a free port: nobody has to know it, for a gateway that follows asks the one that leads."""
    return Program(
        Part(STANDBY, after=("fleet-init",)),
        _module(SERVICES["risk-gateway"]),
        {"FLEET_INSTANCE": STANDBY, "FLEET_GATEWAY_PORT": "0"},
        probe=HttpProbe(settings.host, settings.fleet_home.port_file(STANDBY)),
    )


def _ingest(settings: FleetSettings) -> Program:
    return Program(
        Part("ingest", after=("fleet-init", "questdb")),
        _module(SERVICES["ingest"]),
        probe=HttpProbe(settings.host, settings.fleet_home.port_file("ingest")),
    )


def _simulator(settings: FleetSettings) -> Program:
    return Program(
        Part(SIMULATOR, after=("risk-gateway",)),
        (*_module("quantumedge_sim"), "--bot", SIMULATOR),
        optional=True,
    )


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name)
