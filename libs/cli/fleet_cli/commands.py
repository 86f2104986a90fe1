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
    Command(
        "positions show", "fleet_cli.positions:positions", "What an account holds: posted, held, reported (also: positions)"
    ),
    Command("positions reconcile", "fleet_cli.positions:reconcile", "Take over a position as the venue reports it"),
    Command("reservations", "fleet_cli.positions:reservations", "Allowed orders whose exposure is held"),
    Command("limits show", "fleet_cli.limits:show", "The limits in force, how much of each is used, and when it is reached"),
    Command("limits diff", "fleet_cli.limits:diff", "What a changed risk.yaml would change"),
    Command("limits apply", "fleet_cli.limits:apply", "Put a changed risk.yaml in force"),
    Command("limits enable", "fleet_cli.limits:enable", "Let a strategy open again that was disabled for repeating itself"),
    Command("limits shadow", "fleet_cli.shadow:shadow", "What the limits of risk.shadow.yaml would have answered otherwise"),
    Command("halt", "fleet_cli.halting:halt", "Stop an account: nothing that adds risk is allowed any more"),
    Command("kill", "fleet_cli.halting:kill", "The kill switch: halt, cancel every order, close every position"),
    Command("halts", "fleet_cli.halting:halts", "What is halted, how far every kill is, and the checklist of a resume"),
    Command("resume", "fleet_cli.halting:resume", "Lift the halts of an account"),
    Command("latch list", "fleet_cli.latch:list_latches", "The latch files in this home: halts that need no bus"),
    Command("latch show", "fleet_cli.latch:show_latch", "One latch file"),
    Command("tokens list", "fleet_cli.tokens:list_tokens", "Who may ask the gateway, in which role"),
    Command("tokens rotate", "fleet_cli.tokens:rotate", "Make a new token; the old one is void within a second"),
    Command("dead list", "fleet_cli.dead:list_letters", "Lines that could not be read or stored, and why"),
    Command("dead show", "fleet_cli.dead:show", "One dead letter with its body"),
    Command("dead replay", "fleet_cli.dead:replay", "Have ingest read the origin of dead letters again"),
)
GROUPS = {
    "limits": "The limits of an account",
    "latch": "Halts that need no bus",
    "tokens": "Who may ask the gateway",
    "positions": "What an account holds",
    "dead": "Lines that could not be read or stored",
}
"""First words that only lead to others, with their help."""
SHOWN = frozenset({"positions"})
"""Groups that show themselves when nothing but options follows."""


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
