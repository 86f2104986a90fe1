"""The command line of `quantumedge-sim`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet_contracts import AccountClock, Mode
from quantumedge_sim.profiles import PROFILES
from quantumedge_sim.scenarios import SCENARIOS, Scenario

WALL_SPEED = 60.0
"""One candle a second: what `make up` runs at."""
_DAY = 1440
_SPEED_MAX = 1440.0
_EXITS = (
    "exit codes: 0 the run ended, or was stopped by SIGTERM or SIGINT · 1 the run failed (in virtual time also: no decision, "
    "or the bus away) · 2 wrong usage, or a candle file that cannot be used · 3 an expectation of the scenario is not met"
)


@dataclass(frozen=True, slots=True)
class Options:
    """One run. `speed` None: as fast as it goes. `limit`: candles to trade, None: all there are."""

    bot: str
    account: str
    home: Path | None
    candles: Path | None
    seed: int
    speed: float | None
    clock: AccountClock
    scenario: Scenario | None
    limit: int | None
    mode: Mode
    profile: str
    progress: str
    summary: Path | None


class UsageError(ValueError):
    """Options that do not go together; the message says which."""


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the command line. Raises SystemExit(2) for what is no option, `UsageError` for what does not go together."""
    given = _parser().parse_args(arguments)
    scenario = SCENARIOS[given.scenario] if given.scenario else None
    speed, clock = _speed(given.speed, given.clock, scenario)
    virtual = clock is AccountClock.EVENT
    mode = Mode(given.mode) if given.mode else Mode.PAPER if virtual else Mode.DEMO
    if virtual and mode is Mode.DEMO:
        raise UsageError("an account in virtual time has no bot in mode demo; use --mode paper")
    limit = given.limit or (given.days * _DAY if given.days else None) or (scenario.candles if scenario else None)
    if limit is None and given.candles is None and speed is None:
        limit = 30 * _DAY
    return Options(
        bot=given.bot,
        account=given.account,
        home=given.home,
        candles=given.candles,
        seed=given.seed,
        speed=speed,
        clock=clock,
        scenario=scenario,
        limit=limit,
        mode=mode,
        profile=given.profile or ("calm" if virtual else "busy"),
        progress=given.progress,
        summary=given.summary,
    )


def _speed(speed: str | None, clock: str | None, scenario: Scenario | None) -> tuple[float | None, AccountClock]:
    """The pace and the account's clock; `max` is virtual time."""
    if speed is None and scenario is not None and scenario.needs_wall:
        speed = str(scenario.speed)
    wanted = None if speed == "max" else float(speed) if speed is not None else WALL_SPEED
    chosen = AccountClock(clock) if clock else AccountClock.EVENT if wanted is None else AccountClock.WALL
    if wanted is None and chosen is AccountClock.WALL:
        raise UsageError("--speed max is virtual time: the account's clock must be `event`")
    if scenario is not None and scenario.needs_wall and chosen is AccountClock.EVENT:
        raise UsageError(f"scenario {scenario.name} happens in wall time: give it a speed, and an account with `clock: wall`")
    return wanted, chosen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="quantumedge-sim", description="The simulated bot QuantumEdge.", epilog=_EXITS)
    add = parser.add_argument
    add("--bot", default="qe1", help="the bot's id (default: qe1)")
    add("--account", default="main", help="the account it trades (default: main)")
    add("--home", type=Path, help="the fleet's folder (default: FLEET_HOME, else .fleet)")
    add("--candles", type=Path, help="CSV or CSV.gz of candles (default: generated prices)")
    add("--seed", type=int, default=7, help="of prices and luck (default: 7)")
    add("--speed", type=_speed_text, help="×1 … ×1440 of the candles' time, or max (default: 60, one candle a second)")
    add(
        "--clock",
        choices=[clock.value for clock in AccountClock],
        help="the account's clock (default: event with max, else wall)",
    )
    add("--scenario", choices=sorted(SCENARIOS), help="a named situation")
    add("--days", type=_count, help="trade so many days of candles")
    add("--limit", type=_count, help="trade so many candles")
    add("--mode", choices=["paper", "demo"], help="until the fleet says another (default: paper in virtual time, else demo)")
    add("--profile", choices=sorted(PROFILES), help="how the strategy is set (default: calm in virtual time, else busy)")
    add("--progress", choices=["none", "json"], default="none", help="json: progress and summary as JSON lines on stdout")
    add("--summary", type=Path, help="also write the summary as JSON to this file")
    return parser


def _speed_text(text: str) -> str:
    if text != "max":
        try:
            fits = 1 <= float(text) <= _SPEED_MAX
        except ValueError:
            fits = False
        if not fits:
            raise argparse.ArgumentTypeError(f"{text!r} is neither max nor a number from 1 to {_SPEED_MAX:.0f}")
    return text


def _count(text: str) -> int:
    count = int(text) if text.isdecimal() else 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return count
