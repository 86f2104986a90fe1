"""risk-gateway: answers every order ALLOW or DENY before it reaches the exchange. This file wires it up."""

from datetime import timedelta

from fleet_chassis.auth import Tokens
from fleet_chassis.clock import wall_clock
from fleet_chassis.config import RISK, Config, ConfigError, load_config
from fleet_chassis.gc_pauses import GcPauses
from fleet_chassis.http_app import BODY_BYTES_MAX, BodyLimit, add_service_routes, serve
from fleet_chassis.http_hot import hot_protocol
from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.kv_lease import STREAM as LEASES
from fleet_chassis.kv_lease import KvLease
from fleet_chassis.nats_connection import Client, connected
from fleet_chassis.pipeline import Status
from fleet_chassis.service_app import VERSION, beat, lost_connection, together
from fleet_contracts import AccountClock, Mark, Mode, Reason
from fleet_contracts.parse import LINE_BYTES_MAX
from risk_gateway.access import Buckets
from risk_gateway.core.admission import Admission, Rate
from risk_gateway.core.owed import first_limits
from risk_gateway.core.rules import Setup
from risk_gateway.core.state import SERVICE
from risk_gateway.forward import Forward
from risk_gateway.hot_route import PATH, Gateway
from risk_gateway.metrics import registry_of
from risk_gateway.operator_api import router
from risk_gateway.request_doors import Doors
from risk_gateway.settings import FleetSettings, instance_of
from risk_gateway.shadow_set import FILE as SHADOW
from risk_gateway.shard import Shard
from risk_gateway.watch import Beats, Inputs, Marks, watch

CONSUMES = (
    "ORDER_REQUEST",
    "ORDER_EVENT",
    "LOCAL_VERDICT",
    "EQUITY",
    "MARK",
    "BOT_ACK",
    "HEARTBEAT",
    "LEADER",
    "RISK_LIMITS",
    "RISK_STATE",
    "ORDER_DECISION",
    "OPERATOR_COMMAND",
    "BOT_COMMAND",
    "ANOMALY",
)
PRODUCES = ("ORDER_DECISION", "LEADER", "RISK_LIMITS", "RISK_STATE", "OPERATOR_COMMAND", "BOT_COMMAND", "ANOMALY", "HEARTBEAT")
__all__ = ["CONSUMES", "PRODUCES", "SERVICE", "make_app", "make_shards", "serve_gateway"]


def make_shards(config: Config, settings: FleetSettings) -> dict[str, Shard]:
    """A shard for every account of the configuration."""
    instance = instance_of(settings)
    shards = {}
    for name, account in config.supervisor.accounts.items():
        bots = tuple(
            sorted(bot for bot, its in config.supervisor.bots.items() if name in its.accounts and its.mode is not Mode.OFF)
        )
        setup = Setup(config.risk.accounts[name], account.clock, account.equity_source, bots)
        size = len(first_limits(name, setup, wall_clock()).line)
        if size > LINE_BYTES_MAX:
            raise ConfigError(f"{settings.config / RISK}: accounts.{name}: {size} bytes as an event; at most {LINE_BYTES_MAX}")
        shards[name] = Shard(name, setup, settings.fleet_home, instance, wall_clock)
    return shards


def make_app(config: Config, settings: FleetSettings, shards: dict[str, Shard], beats: Beats) -> Gateway:
    """The HTTP app: the hot route, the operator API, health and metrics."""
    app = Gateway(title="risk-gateway", version=VERSION, description=__doc__ or "", redoc_url=None)
    app.shards, app.tokens = shards, Tokens(config.supervisor, settings.fleet_home)
    app.instance, app.beats, app.pauses, app.forward = instance_of(settings), beats, GcPauses(), Forward()
    app.buckets = Buckets()
    app.bots = {name: bot.mode for name, bot in config.supervisor.bots.items()}
    app.include_router(router)
    add_service_routes(app, registry_of(shards, app.pauses), lambda: _not_ready(shards))
    app.add_middleware(BodyLimit)
    return app


async def serve_gateway(settings: FleetSettings) -> None:
    """Serve until cancelled. HTTP answers from the start; decisions begin when the state is restored and led."""
    config = load_config(settings.config)
    shards, beats = make_shards(config, settings), Beats()
    app = make_app(config, settings, shards, beats)
    port_file = settings.fleet_home.port_file(settings.instance or SERVICE)
    await together(
        serve(app, settings.host, settings.gateway_port, port_file, hot_protocol(PATH, app.evaluate, BODY_BYTES_MAX)),
        _decide(config, settings, app),
        app.tokens.follow(),
    )


async def _decide(config: Config, settings: FleetSettings, app: Gateway) -> None:
    seed, shards = settings.fleet_home.nats_seed(SERVICE), app.shards
    async with connected(settings.nats, SERVICE, seed, on_lost=lost_connection) as client:
        fleet, heartbeats, market, leases = [await _log(client, stream) for stream in ("FLEET", "HEARTBEAT", "MARKET", LEASES)]
        marks = Marks(wall_clock)
        admission = Admission(Rate(settings.bot_requests_per_s, 2 * settings.bot_requests_per_s))

        def mark_of(account: str, symbol: str, age_max: timedelta) -> Mark | None:
            virtual = config.supervisor.accounts[account].clock is AccountClock.EVENT
            return None if virtual else marks.fresh(account, symbol, age_max)

        inputs = Inputs(
            mark=mark_of,
            beat_age_s=lambda bot: app.beats.age_s(bot, wall_clock()),
            shut=lambda bot: Reason.MODE_OFF if _mode(config, bot) is Mode.OFF else None,
            shadow_file=settings.config / SHADOW,
        )
        for name, shard in shards.items():
            lease = KvLease(client, leases, SERVICE, name, shard.instance)
            await shard.open(fleet, lease, admission, inputs)
        await app.forward.open(client)
        doors = [Doors(shard, client, lambda bot: _mode(config, bot)) for shard in shards.values()]
        await together(
            beat(client, SERVICE, instance_of(settings)),
            watch(heartbeats, "HEARTBEAT", "fleet.*.heartbeat.*", app.beats.take),
            watch(market, "MARKET", "fleet.*.mark.*", marks.take),
            app.pauses.serve([shard.drive.caught_up for shard in shards.values()]),
            *(door.run() for door in doors),
            *(shard.run() for shard in shards.values()),
        )


async def _log(client: Client, stream: str) -> JetStreamLog:
    log = JetStreamLog(client, stream)
    await log.open()
    return log


def _mode(config: Config, bot: str) -> Mode:
    known = config.supervisor.bots.get(bot)
    return known.mode if known else Mode.OFF


def _not_ready(shards: dict[str, Shard]) -> str | None:
    """Every account is led here, or followed without a gap."""
    for name, shard in shards.items():
        if not shard.is_open:
            return f"account {name}: waiting for NATS"
        if not shard.drive.caught_up.is_set():
            return f"account {name}: folding, at sequence {shard.drive.pipeline.fold.seq}"
        pipeline = shard.drive.pipeline
        if pipeline.status is Status.TAKING_OVER or (not shard.leads and not shard.core.state.leader):
            return f"account {name}: no leader yet"
    return None
