"""What a newcomer reads when the fleet is ready: addresses, where the tokens are, five commands to try."""

import sys
from pathlib import Path

from fleet_chassis.process_files import read_status
from fleet_chassis.settings import FleetSettings
from fleet_cli.output import write
from fleet_cli.parts import SIMULATOR
from fleet_cli.where import checkout


def welcome(settings: FleetSettings) -> None:
    """Print it on stdout."""
    home = settings.fleet_home
    gateway = f"http://{settings.host}:{settings.gateway_port}"
    questdb = f"http://{settings.host}:{settings.questdb_http_port}"
    status = read_status(home)
    bots = [part.name for part in status.parts if part.name == SIMULATOR] if status else []
    command = supervisor(home.root)
    write(f"""
The fleet is ready{f", the simulated bot {bots[0]} is trading" if bots else ""}.

  gateway    {gateway}   API documentation: {gateway}/docs
  NATS       {settings.nats}   monitor: http://{settings.host}:{settings.nats_monitor_port}
  QuestDB    {questdb}   SQL for people and Grafana: {settings.host}:{settings.questdb_pg_port}, user reader
  tokens     {_short(home.tokens)}/<name>.token   (viewer, operator, approver, admin, and one per bot)
  passwords  {_short(home.questdb_passwords)}/<user>.password
  logs       {_short(home.logs)}/<part>.log

Try:
  {command} status
  {command} decisions --tail
  {command} positions
  {command} limits show
  {command} down""")


def supervisor(home: Path) -> str:
    """How to type the command from here, with the home when it is not the usual one."""
    command = Path(sys.argv[0]).absolute()
    usual = home == checkout() / ".fleet"
    typed = _short(command) if command.name == "supervisor" else "supervisor"
    return typed if usual else f"FLEET_HOME={_short(home)} {typed}"


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
