"""`supervisor tokens list` and `rotate`: who may ask the gateway, and new secrets without a restart."""

import time
from typing import Annotated

from cyclopts import Parameter

from fleet_chassis.auth import LOOK_S, new_token
from fleet_chassis.config import ConfigError, TokenSettings, load_config
from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import write_whole
from fleet_cli.asking import Why, confirm
from fleet_cli.exits import CliError, Exit
from fleet_cli.output import AS_TABLE, Column, Row, Show, age, say, show_rows
from fleet_cli.where import fleet_settings, in_containers

_COLUMNS = (
    Column("name"),
    Column("role"),
    Column("bot"),
    Column("accounts"),
    Column("kept"),
    Column("age", lambda row: age(row["age_s"]), right=True),
)


def list_tokens(*, show: Show = AS_TABLE) -> None:
    """Every token of supervisor.yaml: whose it is, and how old its file is. Never the token itself."""
    home, tokens = _known()
    rows = [_row(home, name, token) for name, token in tokens.items()]
    show_rows(show, rows, _COLUMNS, {"tokens": rows})


def rotate(name: Annotated[str, Parameter(help="which token, as `tokens list` names it")], /, *, why: Why) -> None:
    """Write a new token. The gateway takes it up within a second, and the old one is void from then on."""
    home, tokens = _known()
    token = tokens.get(name)
    if token is None:
        raise CliError(f"there is no token {name!r}; known: {', '.join(tokens)}", Exit.NOT_FOUND)
    if token.sha256 is not None:
        raise CliError(f"the token {name!r} is kept elsewhere; change tokens.{name}.sha256 in supervisor.yaml", Exit.CONFLICT)
    confirm(f"Make a new token {name}? Whoever uses the old one is refused.", why)
    path = home.token(name)
    write_whole(path, f"{new_token(name)}\n")
    taken_up = f"a running gateway takes it up within {LOOK_S:.0f} s, and the old one is void then"
    if in_containers():
        say(f"the new token is in {path}, and the OLD one still in force: hand it out with `docker compose run --rm prepare`;")
        say(taken_up)
    else:
        say(f"the new token is in {path}; {taken_up}")
    if token.bot:
        say(f"the bot {token.bot} reads it at its next start; over NATS it is known by its key and goes on")


def _known() -> tuple[FleetHome, dict[str, TokenSettings]]:
    settings = fleet_settings()
    try:
        return settings.fleet_home, load_config(settings.config).supervisor.tokens
    except ConfigError as error:
        raise CliError(str(error), Exit.USAGE) from error


def _row(home: FleetHome, name: str, token: TokenSettings) -> Row:
    path = home.token(name)
    made = path.stat().st_mtime if token.sha256 is None and path.exists() else None
    return {
        "name": name,
        "role": token.role.value,
        "bot": token.bot,
        "accounts": "" if token.bot else ", ".join(token.accounts or ["all"]),
        "kept": "elsewhere" if token.sha256 else str(path) if made is not None else "not made yet",
        "age_s": None if made is None else max(0.0, time.time() - made),
    }
