"""The table of commands. `supervisor --help` prints it; the modules are imported only when their command runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """`words` as typed, `target` = module:function, `help` one line."""

    words: str
    target: str
    help: str


COMMANDS = (
    Command("up", "fleet_cli.up:up", "Start the fleet on this machine and wait until it is ready"),
    Command("down", "fleet_cli.down:down", "Stop the fleet; leaves no process"),
    Command("status", "fleet_cli.status:status", "Every part: state, pid, address, age of its last heartbeat"),
    Command("logs", "fleet_cli.logs:logs", "The log of one part"),
    Command("demo", "fleet_cli.demo:demo", "A month of trading in minutes, on a fleet of its own"),
    Command("run-foreground", "fleet_cli.up:run_foreground", "The same as `up --foreground`"),
    Command("backup", "fleet_cli.backup:backup", "Save a stopped fleet in one file"),
    Command("restore", "fleet_cli.backup:restore", "Bring back a saved fleet"),
    Command("decisions", "fleet_cli.decisions:decisions", "What was asked, what was answered and why; --tail goes on"),
    Command("positions", "fleet_cli.positions:positions", "What an account holds"),
    Command("reservations", "fleet_cli.positions:reservations", "Allowed orders whose exposure is held"),
    Command("limits show", "fleet_cli.limits:show", "The limits in force, and how much of each is used"),
    Command("limits apply", "fleet_cli.limits:apply", "Put a changed risk.yaml in force"),
    Command("halt", "fleet_cli.halting:halt", "Stop an account: nothing that adds risk is allowed any more"),
    Command("resume", "fleet_cli.halting:resume", "Lift the halts of an account"),
    Command("dead list", "fleet_cli.dead:list_letters", "Lines that could not be read or stored, and why"),
    Command("dead show", "fleet_cli.dead:show", "One dead letter with its body"),
    Command("dead replay", "fleet_cli.dead:replay", "Have ingest read the origin of dead letters again"),
)
GROUPS = {"limits": "The limits of an account", "dead": "Lines that could not be read or stored"}
"""First words that only lead to others, with their help."""


def overview() -> str:
    """What `supervisor --help` prints."""
    from fleet_cli.exits import MEANING

    width = max(len(command.words) for command in COMMANDS) + 2
    lines = [
        "supervisor: runs a fleet that answers, watches and journals everything a trading bot does",
        "",
        "Usage: supervisor COMMAND [OPTIONS]      (supervisor COMMAND --help tells more)",
        "",
        "Commands:",
        *(f"  {command.words:<{width}}{command.help}" for command in COMMANDS),
        "",
        "Exit codes:",
        *(f"  {code.value:<5}{meaning}" for code, meaning in MEANING.items()),
        "",
        "Which fleet: FLEET_HOME (default .fleet in the checkout), or SUPERVISOR_URL and SUPERVISOR_TOKEN.",
    ]
    return "\n".join(lines) + "\n"
