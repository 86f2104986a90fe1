"""Every secret of a fleet as a file, made once and then kept: tokens, NATS keys, database passwords (WIRE, Files)."""

from collections.abc import Iterable

from fleet_chassis.auth import make_tokens
from fleet_chassis.config import Config
from fleet_chassis.home import FleetHome
from fleet_chassis.nats_config import ADMIN, OPERATOR, Users
from fleet_chassis.nkeys_store import make_seed, public_key
from fleet_chassis.questdb_server import make_passwords


def make_secrets(home: FleetHome, config: Config, services: Iterable[str]) -> None:
    """Make what is missing; what is there stays as it is. Raises OSError."""
    make_tokens(home, config.supervisor.tokens)
    for name in (ADMIN, OPERATOR, *services, *config.supervisor.bots):
        make_seed(home.nats_seed(name))
    make_passwords(home.questdb_passwords)


def nats_users(home: FleetHome, config: Config, services: Iterable[str]) -> Users:
    """Who may connect to NATS, with their public keys. Raises ValueError when a seed file holds no seed."""
    services, bots = tuple(services), {name: bot.accounts for name, bot in config.supervisor.bots.items()}
    names = (ADMIN, OPERATOR, *services, *bots)
    return Users(services, bots, {name: public_key(home.nats_seed(name)) for name in names})
