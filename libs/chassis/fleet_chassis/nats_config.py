"""The NATS server's configuration, generated: two accounts, a user per part, rights from the registry of events.

Bots live in an account of their own and have no JetStream API; the fleet exports to them the event subjects and doors as
services, and the live view as a stream (DESIGN §2).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet_contracts import Permissions, bot_permissions, operator_permissions, service_permissions

ADMIN = "fleet-init"
"""The one user that may do anything in the fleet's account: it makes streams, and lives as long as that takes."""
OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A server's place in a cluster: `routes` are the addresses (host:port) of all its members."""

    name: str
    port: int
    routes: Sequence[str]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What differs from server to server. Ports are TCP ports; `sync` is JetStream's sync_interval."""

    name: str
    host: str
    port: int
    monitor_port: int
    store: Path
    sync: str = "always"
    file_bytes_max: int = 20 * 1024**3
    memory_bytes_max: int = 128 * 1024**2
    cluster: Cluster | None = None


@dataclass(frozen=True, slots=True)
class Users:
    """Who may connect: services by name, bots with their accounts, and every user's public key."""

    services: Sequence[str]
    bots: Mapping[str, Sequence[str]]
    public_keys: Mapping[str, str]


def server_config(settings: ServerSettings, users: Users) -> str:
    """The text of the configuration file."""
    return "\n".join(
        [
            "# Generated from the registry of events. Do not edit: it is written anew at every start.",
            f'server_name: "{settings.name}"',
            f'listen: "{settings.host}:{settings.port}"',
            f'http: "{settings.host}:{settings.monitor_port}"',
            "max_payload: 2MB",
            "jetstream {",
            f'  store_dir: "{settings.store}"',
            f"  sync_interval: {settings.sync}",
            f"  max_memory_store: {settings.memory_bytes_max}",
            f"  max_file_store: {settings.file_bytes_max}",
            "}",
            "feature_flags { js_ack_fc_v2: false }",
            *_cluster(settings),
            "accounts {",
            "  FLEET {",
            "    jetstream: enabled",
            "    users: [",
            *_fleet_users(users),
            "    ]",
            "    exports: [",
            '      { service: "fleet.*.*.*", accounts: [BOTS] }',
            '      { service: "svc.*.*.*.*", accounts: [BOTS] }',
            '      { stream: "live.fleet.>", accounts: [BOTS] }',
            "    ]",
            "  }",
            "  BOTS {",
            "    imports: [",
            '      { service: { account: FLEET, subject: "fleet.*.*.*" } }',
            '      { service: { account: FLEET, subject: "svc.*.*.*.*" } }',
            '      { stream: { account: FLEET, subject: "live.fleet.>" } }',
            "    ]",
            "    users: [",
            *_bot_users(users),
            "    ]",
            "  }",
            "}",
            "",
        ]
    )


def _cluster(settings: ServerSettings) -> list[str]:
    cluster = settings.cluster
    if cluster is None:
        return []
    routes = ", ".join(f'"nats://{route}"' for route in cluster.routes)
    return [f'cluster {{ name: "{cluster.name}", listen: "{settings.host}:{cluster.port}", routes: [{routes}] }}']


def _fleet_users(users: Users) -> Iterable[str]:
    yield f'      {{ nkey: "{users.public_keys[ADMIN]}" }}'
    for service in users.services:
        yield from _user(users.public_keys[service], service_permissions(service))
    yield from _user(users.public_keys[OPERATOR], operator_permissions())


def _bot_users(users: Users) -> Iterable[str]:
    for bot, accounts in users.bots.items():
        yield from _user(users.public_keys[bot], bot_permissions(bot, accounts))


def _user(public_key: str, permissions: Permissions) -> Iterable[str]:
    yield f'      {{ nkey: "{public_key}", permissions: {{'
    yield f"        publish: [{_subjects(permissions.publish)}]"
    yield f"        subscribe: [{_subjects(permissions.subscribe)}]"
    if permissions.answers:
        yield '        allow_responses: { max: 1, expires: "10s" }'
    yield "      } }"


def _subjects(subjects: Iterable[str]) -> str:
    return ", ".join(f'"{subject}"' for subject in subjects)
