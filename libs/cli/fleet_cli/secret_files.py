"""Every secret of a fleet as a file, made once and then kept: tokens, NATS keys, database passwords (WIRE, Files)."""

from fleet_chassis.auth import make_tokens
from fleet_chassis.config import Config
from fleet_chassis.home import FleetHome
from fleet_chassis.nats_config import ADMIN, OPERATOR, Users
from fleet_chassis.nkeys_store import make_seed, public_key
from fleet_chassis.questdb_server import make_passwords

SERVICES = {"risk-gateway": "risk_gateway", "ingest": "fleet_ingest"}
"""Service → the module that is its program."""


def make_secrets(home: FleetHome, config: Config) -> None:
    """Make what is missing; what is there stays as it is. Raises OSError."""
    make_tokens(home, config.supervisor.tokens)
    for name in (ADMIN, OPERATOR, *SERVICES, *config.supervisor.bots):
        make_seed(home.nats_seed(name))
    make_passwords(home.questdb_passwords)


def nats_users(home: FleetHome, config: Config) -> Users:
    """Who may connect to NATS, with their public keys. Raises ValueError when a seed file holds no seed."""
    bots = {name: bot.accounts for name, bot in config.supervisor.bots.items()}
    names = (ADMIN, OPERATOR, *SERVICES, *bots)
    return Users(tuple(SERVICES), bots, {name: public_key(home.nats_seed(name)) for name in names})
