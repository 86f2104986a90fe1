"""What ingest is told by its environment: the fleet's settings. The bounds of its loop stand here too."""

from pathlib import Path

from fleet_chassis.config import ConfigError
from fleet_chassis.questdb_server import read_password
from fleet_chassis.settings import FleetSettings

__all__ = ["FleetSettings", "instance_of", "migrations_folder", "password_of"]

INSTANCE = "ingest-1"
MESSAGES_MAX = 2_000
"""Taken from each stream at once: half of what a pull holds, so that more is on its way while these are stored."""
ENOUGH = 2_000
"""Messages that are stored without waiting for more."""
LINGER_S = 0.1
"""How long fewer wait for company: a commit costs the same for one row as for a thousand."""
LINES_MAX = 8_000
LINE_BYTES_MAX = 8 * 1024**2
"""Lines, and bytes of lines, that are made into rows and committed at once."""
WRITE_S_MAX = 30.0
"""After this long without a commit the writer counts as stuck, and gets a new thread and a new connection."""
RETRY_S_FIRST, RETRY_S_MAX = 0.25, 2.0
DEAD_S = 2.0
"""For the PubAck of a letter."""
LETTERS_AT_ONCE = 64
WATCH_S = 2.0


def instance_of(settings: FleetSettings) -> str:
    """The name of this process."""
    return settings.instance or INSTANCE


def migrations_folder(settings: FleetSettings) -> Path:
    """Beside the folder of configuration files, else that of the checkout. Raises `ConfigError`."""
    for deploy in (settings.config.parent, Path(__file__).resolve().parents[3] / "deploy"):
        folder = deploy / "questdb" / "migrations"
        if folder.is_dir():
            return folder
    raise ConfigError(
        f"{settings.config.parent / 'questdb' / 'migrations'}: no migrations here; FLEET_CONFIG names deploy/config"
    )


def password_of(settings: FleetSettings, user: str) -> str:
    """QuestDB's password of a user. Raises `ConfigError` when there is none."""
    folder = settings.fleet_home.questdb_passwords
    try:
        return read_password(folder, user)
    except OSError as error:
        raise ConfigError(f"{folder / user}.password: {error.strerror}; `supervisor up` makes it") from error
