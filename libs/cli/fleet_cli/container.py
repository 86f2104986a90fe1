"""`fleet-prepare`: runs before every other container. It makes each secret once and hands each part only its own.

The volume of secrets is FLEET_HOME/secrets: all of them, as on a machine without containers, and in `parts/<part>/` the copies
that this part's container sees and nothing else. All files have mode 0600 and belong to the one user the containers run as.
"""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from fleet_chassis.config import Config, ConfigError, load_config
from fleet_chassis.home import FleetHome
from fleet_chassis.nats_config import ADMIN
from fleet_chassis.process_files import write_whole
from fleet_chassis.questdb_server import ADMIN as DATABASE_ADMIN
from fleet_chassis.questdb_server import JOURNAL, READER, USERS, make_passwords
from fleet_chassis.settings import FleetSettings, UnknownSetting
from fleet_cli.backup_manifest import UNFINISHED, is_unfinished
from fleet_cli.exits import CliError, Exit
from fleet_cli.parts import SERVICES, nats_config
from fleet_cli.secret_files import make_secrets
from fleet_cli.standing_still import secrets_lock
from fleet_cli.where import first_problem

NATS_STORE = Path("/data")
"""Where the container `nats` has its volume."""

PARTS_OF_OTHERS = frozenset({"prepare", "nats", "questdb", "prometheus", "grafana"})
"""Containers that are no services of the fleet (whose names no bot may have anyhow)."""

Files = dict[str, str]
"""Path under the part's folder → content."""


def hand_out(settings: FleetSettings) -> None:
    """Make what is missing, then give every part its folder anew. Raises `ConfigError`, `CliError`, ValueError, OSError."""
    with secrets_lock(settings.fleet_home):
        _hand_out(settings)


def _hand_out(settings: FleetSettings) -> None:
    home, config = settings.fleet_home, load_config(settings.config)
    if is_unfinished(home.root):
        raise ValueError(UNFINISHED)
    for folder in (home.tokens, home.nats_seeds, home.questdb_passwords):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if taken := sorted(config.supervisor.bots.keys() & PARTS_OF_OTHERS):
        raise ValueError(f"bots.{taken[0]}: a container has this name; choose another, or that one would get its secrets")
    make_secrets(home, config, SERVICES)
    make_passwords(home.grafana_passwords, (DATABASE_ADMIN,))
    wanted = {"nats": {"nats.conf": nats_config(settings, config, NATS_STORE)}, **_secrets(home, config)}
    for part, files in wanted.items():
        _give(home.part_secrets(part), files)
    for folder in home.part_secrets("").iterdir():
        if folder.name not in wanted:
            shutil.rmtree(folder)


def _secrets(home: FleetHome, config: Config) -> Mapping[str, Files]:
    """Which part may know what."""
    passwords = {user: home.questdb_password(user).read_text() for user in USERS}
    tokens = {name: token for name, token in config.supervisor.tokens.items() if token.sha256 is None}  # else kept elsewhere
    owned = {bot: [name for name, token in tokens.items() if token.bot == bot] for bot in config.supervisor.bots}
    return {
        ADMIN: _seed(home, ADMIN),
        "questdb": {f"{user}.password": password for user, password in passwords.items()},
        "risk-gateway": {**_seed(home, "risk-gateway"), **_tokens(home, list(tokens))},
        "ingest": {**_seed(home, "ingest"), f"questdb/{JOURNAL}.password": passwords[JOURNAL]},
        "grafana": {
            "reader.password": passwords[READER],
            "admin.password": (home.grafana_passwords / f"{DATABASE_ADMIN}.password").read_text(),
        },
        **{bot: {**_seed(home, bot), **_tokens(home, names)} for bot, names in owned.items()},
    }


def _seed(home: FleetHome, user: str) -> Files:
    return {f"nats/{user}.nk": home.nats_seed(user).read_text()}


def _tokens(home: FleetHome, names: list[str]) -> Files:
    return {f"tokens/{name}.token": home.token(name).read_text() for name in names}


def _give(folder: Path, files: Files) -> None:
    """Write the files of a part, and remove what it may not know any more."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, content)
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in files:
            path.unlink()


def main() -> None:
    """Entry point."""
    try:
        hand_out(FleetSettings.from_environment())
    except (ConfigError, UnknownSetting) as error:
        sys.stderr.write(f"fleet-prepare: {error}\n")
        sys.exit(Exit.USAGE)
    except ValidationError as error:
        sys.stderr.write(f"fleet-prepare: a FLEET_… variable has no valid value: {first_problem(error)}\n")
        sys.exit(Exit.USAGE)
    except (CliError, OSError, ValueError) as error:
        sys.stderr.write(f"fleet-prepare: {error}\n")
        sys.exit(Exit.FAILURE)


if __name__ == "__main__":
    main()
