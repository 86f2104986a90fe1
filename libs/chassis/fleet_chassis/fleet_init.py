"""fleet-init: makes and migrates what the log stands on: streams, the lease bucket, ingest's durable consumers.

Safe to run again at any time; it only ever adds and updates. Everything else binds to what it made.
"""

import asyncio
import logging
import sys
from typing import Any

from nats.aio.client import Client

from fleet_chassis.config import ConfigError
from fleet_chassis.jetstream_api import api
from fleet_chassis.kv_lease import STREAM as LEASES
from fleet_chassis.lease import LEASE_TTL_S
from fleet_chassis.log import LogUnavailable
from fleet_chassis.nats_config import ADMIN
from fleet_chassis.nats_connection import connected
from fleet_chassis.settings import JOURNAL_BYTES_MAX, FleetSettings, UnknownSetting
from fleet_contracts import Stream, stream_subjects

HEARTBEAT_BYTES_MAX = 2 * 1024**3
DEAD_BYTES_MAX = 1 * 1024**3
MARKET_BYTES_MAX = 64 * 1024**2
SPARE_BYTES = 1 * 1024**3
DAY_NS = 86_400 * 10**9
NO_STREAM = 10059
NOT_YET = (10005, 10008, 10009)
"""What a cluster says while it elects: no peers, temporarily unavailable, not leader."""
API_TIMEOUT_S = 3.0
"""A young cluster loses questions now and then; asking again is safe."""
START_TIMEOUT_S = 60.0
_log = logging.getLogger(__name__)


class ProvisionError(RuntimeError):
    """The server refused a stream or a consumer."""


def streams(replicas: int, fleet_bytes_max: int = JOURNAL_BYTES_MAX) -> list[dict[str, Any]]:
    """The configuration of every stream (DESIGN §2)."""
    file: dict[str, Any] = {"storage": "file", "num_replicas": replicas, "retention": "limits"}
    fleet = {
        **file,
        "name": Stream.FLEET,
        "subjects": stream_subjects(Stream.FLEET),
        "discard": "new",
        "max_bytes": fleet_bytes_max,
        "deny_delete": True,
        "allow_direct": False,
        "duplicate_window": 600 * 10**9,
        "republish": {"src": "fleet.>", "dest": "live.fleet.>"},
    }
    hasty: dict[str, Any] = {"persist_mode": "async"} if replicas == 1 else {}
    heartbeat = {
        **file,
        **hasty,
        "name": Stream.HEARTBEAT,
        "subjects": stream_subjects(Stream.HEARTBEAT),
        "discard": "old",
        "max_age": 7 * DAY_NS,
        "max_bytes": HEARTBEAT_BYTES_MAX,
    }
    # One server forgets a stream in memory, and not only its messages, when it starts again; a cluster remembers it.
    market = {
        **file,
        **hasty,
        "name": Stream.MARKET,
        "subjects": stream_subjects(Stream.MARKET),
        "storage": "file" if replicas == 1 else "memory",
        "discard": "old",
        "max_age": 60 * 10**9,
        "max_bytes": MARKET_BYTES_MAX,
    }
    dead = {
        **file,
        "name": Stream.DEAD,
        "subjects": stream_subjects(Stream.DEAD),
        "discard": "old",
        "max_age": 90 * DAY_NS,
        "max_bytes": DEAD_BYTES_MAX,
        "duplicate_window": 600 * 10**9,
    }
    schedule = {
        **file,
        "name": Stream.SCHEDULE,
        "subjects": stream_subjects(Stream.SCHEDULE),
        "discard": "old",
        "max_bytes": 16 * 1024**2,
        "allow_msg_schedules": True,
    }
    leases = {
        "name": LEASES,
        "subjects": ["$KV.leases.>"],
        "storage": "file",
        "num_replicas": replicas,
        "retention": "limits",
        "discard": "new",
        "max_msgs_per_subject": 1,
        "max_age": int(LEASE_TTL_S * 1e9),
        "max_bytes": 1024**2,
        "allow_rollup_hdrs": True,
        "allow_direct": False,
        "duplicate_window": int(LEASE_TTL_S * 1e9),
    }
    return [fleet, heartbeat, market, dead, schedule, leases]


def store_bytes_max(fleet_bytes_max: int) -> int:
    """What the server's file store must be allowed to hold: every stream at its largest, and some room for an update."""
    files = (config for config in streams(1, fleet_bytes_max) if config["storage"] == "file")
    return sum((int(config["max_bytes"]) for config in files), SPARE_BYTES)


def ingest_consumer() -> dict[str, Any]:
    """The durable consumer ingest pulls from, one on each journaled stream."""
    return {
        "durable_name": "ingest",
        "ack_policy": "explicit",
        "ack_wait": 15 * 10**9,  # three requests to QuestDB at their slowest; a restart waits as long for what was in hand
        "max_ack_pending": 20_000,
        "max_deliver": -1,
        "deliver_policy": "all",
        "replay_policy": "instant",
    }


async def provision(client: Client, *, replicas: int = 1, fleet_bytes_max: int = JOURNAL_BYTES_MAX) -> None:
    """Make or update everything. Raises `ProvisionError`, `LogUnavailable`."""
    for config in streams(replicas, fleet_bytes_max):
        await _stream(client, config)
    for stream in (Stream.FLEET, Stream.HEARTBEAT):
        question = {"stream_name": stream, "config": ingest_consumer(), "action": ""}
        answer = await api(client, f"CONSUMER.DURABLE.CREATE.{stream}.ingest", question, API_TIMEOUT_S)
        _check(answer, f"consumer ingest of {stream}")


async def _stream(client: Client, config: dict[str, Any]) -> None:
    name = config["name"]
    # Update first: creating a stream that exists counts its size a second time, and is refused when both do not fit.
    answer = await api(client, f"STREAM.UPDATE.{name}", config, API_TIMEOUT_S)
    if answer.get("error", {}).get("err_code") == NO_STREAM:
        answer = await api(client, f"STREAM.CREATE.{name}", config, API_TIMEOUT_S)
    _check(answer, f"stream {name}")


def _check(answer: dict[str, Any], what: str) -> None:
    error = answer.get("error")
    if error is not None:
        said = f"{what}: {error.get('description', error)}"
        raise LogUnavailable(said) if error.get("err_code") in NOT_YET else ProvisionError(said)
    _log.info("%s is there", what)


async def run(settings: FleetSettings) -> None:
    """Connect, provision, leave. Raises TimeoutError when the server does not come up in time, `ProvisionError`, `NoSeed`."""
    async with asyncio.timeout(START_TIMEOUT_S):
        async with connected(settings.nats, ADMIN, settings.fleet_home.nats_seed(ADMIN)) as client:
            while True:
                try:
                    await provision(client, replicas=settings.replicas, fleet_bytes_max=settings.journal_bytes_max)
                    return
                except LogUnavailable as error:
                    _log.info("JetStream is not ready yet (%s)", error)
                    await asyncio.sleep(0.5)


def main() -> None:
    """The command `fleet-init`."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        asyncio.run(run(FleetSettings.from_environment()))
    except TimeoutError:
        sys.exit("fleet-init: NATS does not answer; is it running, and is the address right (FLEET_NATS_PORT)?")
    except (ProvisionError, ConfigError, UnknownSetting) as error:
        sys.exit(f"fleet-init: {error}")


if __name__ == "__main__":
    main()
