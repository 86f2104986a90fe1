"""Which fleet is meant: the home, its settings (also those it was started with), its gateway and a token for it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from fleet_chassis.home import FleetHome
from fleet_chassis.process_files import write_whole
from fleet_chassis.settings import FleetSettings, UnknownSetting
from fleet_cli.exits import CliError, Exit

STANDBY = "risk-gateway-2"
"""The part that `--gateways 2` adds: it follows, and leads when the first one does not."""
URL, TOKEN = "SUPERVISOR_URL", "SUPERVISOR_TOKEN"
CONTAINERS = "SUPERVISOR_CONTAINERS"
"""Set in the image of the fleet."""
_REMEMBERED = "settings.json"


def checkout() -> Path:
    """The folder of the project: where `.fleet` and `deploy` are; the present folder when installed without a checkout."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / "deploy" / "config").is_dir() else Path.cwd()


def fleet_environment(remembered: bool = True) -> dict[str, str]:
    """Every FLEET_… variable that counts: paths absolute, and what is left open as the fleet was started with."""
    root = checkout()
    usual = {"FLEET_HOME": root / ".fleet", "FLEET_CONFIG": root / "deploy" / "config", "FLEET_CACHE": root / ".cache"}
    given = {name: value for name, value in os.environ.items() if name.startswith("FLEET_") and value}
    home = Path(given.get("FLEET_HOME", usual["FLEET_HOME"])).absolute()
    known = {name: str(path) for name, path in usual.items()} | (_recall(FleetHome(home)) if remembered else {}) | given
    return known | {name: str(Path(known[name]).absolute()) for name in usual}


def fleet_settings(remembered: bool = True) -> FleetSettings:
    """The settings of the fleet that is meant. Raises `CliError` for a variable nobody knows or a value that is none."""
    try:
        return FleetSettings.from_environment(fleet_environment(remembered))
    except UnknownSetting as error:
        raise CliError(str(error), Exit.USAGE) from error
    except ValueError as error:
        raise CliError(f"a FLEET_… variable has no valid value: {first_problem(error)}", Exit.USAGE) from error


def remember(home: FleetHome, settings: FleetSettings) -> None:
    """Keep the addresses a fleet was started with, so that later commands need no environment."""
    kept = {
        f"FLEET_{name.upper()}": str(value)
        for name, value in settings.model_dump().items()
        if (name.endswith("_port") or name in ("host", "config", "nats_url")) and value is not None
    }
    write_whole(home.run / _REMEMBERED, json.dumps(kept, indent=1) + "\n")


def _recall(home: FleetHome) -> dict[str, str]:
    try:
        raw = json.loads((home.run / _REMEMBERED).read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in raw.items()} if isinstance(raw, dict) else {}


def first_problem(error: ValueError) -> str:
    """`FLEET_NATS_PORT: Input should be a valid integer`."""
    problems = error.errors(include_url=False) if isinstance(error, ValidationError) else []
    if not problems:
        return str(error)
    name = "_".join(str(part) for part in problems[0]["loc"])
    return f"FLEET_{name.upper()}: {problems[0]['msg']}"


@dataclass(frozen=True, slots=True)
class Door:
    """The operator API of one gateway and the token to use there; `second`: that of the gateway beside it."""

    url: str
    token: str | None
    second: str | None = None


def door(role: str) -> Door:
    """SUPERVISOR_URL and SUPERVISOR_TOKEN if set, else the local fleet's gateway with its own token for `role`."""
    url, token = os.environ.get(URL), os.environ.get(TOKEN)
    if url:
        return Door(url.rstrip("/"), token)
    settings = fleet_settings()
    if not _is_known(settings.fleet_home):
        raise CliError(f"the fleet in {settings.fleet_home.root} is not running; {how_to_start()}", Exit.UNHEALTHY)
    second = port_told(settings.fleet_home, STANDBY)
    return Door(
        f"http://{settings.host}:{settings.gateway_port}",
        token or _own_token(settings.fleet_home, role),
        f"http://{settings.host}:{second}" if second else None,
    )


def port_told(home: FleetHome, part: str) -> int | None:
    """The port that a part on a free one says it listens on."""
    try:
        return int(home.port_file(part).read_text())
    except (OSError, ValueError):
        return None


def is_elsewhere() -> bool:
    """Whether nothing here manages the fleet that is meant: another gateway was named, or its parts are containers."""
    return URL in os.environ or in_containers()


def in_containers() -> bool:
    """Whether this runs in a container of the fleet."""
    return CONTAINERS in os.environ


def how_to_start() -> str:
    """`start it with …`, by whoever starts the parts of this fleet."""
    return f"start it with `{'docker compose up -d --wait' if in_containers() else 'supervisor up'}`"


def refuse_in_containers(instead: str) -> None:
    """Raise `CliError` where the parts are containers: starting and stopping them is Docker's work."""
    if in_containers():
        raise CliError(f"the parts of this fleet are containers: use `{instead}`", Exit.USAGE)


def _is_known(home: FleetHome) -> bool:
    """Whether anybody says where the gateway is: a fleet that was started here, or the environment."""
    told = any(os.environ.get(name) for name in ("FLEET_GATEWAY_PORT", "FLEET_PORT_BASE"))
    return told or (home.run / _REMEMBERED).exists()


def _own_token(home: FleetHome, role: str) -> str | None:
    try:
        return home.token(role).read_text().strip()
    except OSError:
        return None
