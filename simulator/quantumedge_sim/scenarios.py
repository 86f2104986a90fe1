"""Named situations as data: what is done to the prices and to the bus, how the bot is set, and what must come of it.

Moments are in candles since trading began (after the warm-up).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from quantumedge_sim.candles import Candle
from quantumedge_sim.instrument import Instrument
from quantumedge_sim.profiles import BUSY, Profile
from quantumedge_sim.tally import Tally


@dataclass(frozen=True, slots=True)
class Move:
    """From `at`, over `candles`, every price is multiplied little by little until it is `share` higher (lower when
    negative); and stays so.
    """

    at: int
    candles: int
    share: float


@dataclass(frozen=True, slots=True)
class Partition:
    """From `at`, the bot is cut off from the bus for `seconds` of wall time."""

    at: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Press:
    """At `at`, an operator presses the kill switch."""

    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must hold at the end."""

    what: str
    holds: Callable[[Tally], bool]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`needs_wall`: it happens in wall time, on an account with `clock: wall`. `speed`: candles' time × this, when the
    caller names none. `candles`: how long it takes.
    """

    name: str
    what: str
    candles: int
    profile: Profile
    moves: tuple[Move, ...] = ()
    partitions: tuple[Partition, ...] = ()
    press: Press | None = None
    deaf_from: int | None = None
    """From here on the bot does not listen to the fleet: neither state nor commands reach it, until the run ends."""
    expectations: tuple[Expectation, ...] = field(default=())
    needs_wall: bool = False
    speed: float | None = None


_LOSS = frozenset({"DAILY_LOSS", "MAX_DRAWDOWN"})
_CLOSE = "CLOSE_POSITIONS"
STUBBORN = replace(
    BUSY,
    name="stubborn-long",
    risk=Decimal(14),
    long_only=True,
    never_exit=True,
    headstrong=True,
    bold=0.0,
    adds_max=40,
    scalp_every=1,
    scalp_notional=Decimal(4500),
    limit_lives=10,
    add_share=Decimal("0.5"),
)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "slow-drawdown",
            "the price drifts down while the bot holds on, until the loss limit latches and the fleet closes the position",
            candles=480,
            profile=STUBBORN,
            moves=(Move(30, 300, -0.09),),
            expectations=(
                Expectation("a loss halt latched", lambda t: any(halt.cause in _LOSS for halt in t.halts.values())),
                Expectation(
                    "orders were refused because of it",
                    lambda t: any(t.denied[reason] for reason in (*_LOSS, "REDUCE_ONLY_MODE")),
                ),
                Expectation("the fleet had the position closed", lambda t: t.closed_by[_CLOSE] > 0),
                Expectation("the loss stayed near the limit", lambda t: t.drawdown_share < Decimal("0.10")),
            ),
        ),
        Scenario(
            "flash-crash",
            "the price falls 10 % within four minutes and comes back within ten",
            candles=180,
            profile=replace(BUSY, name="long-only", long_only=True, scalp_every=3, scalp_notional=Decimal(2500)),
            moves=(Move(60, 4, -0.10), Move(66, 10, 0.1111)),
            expectations=(
                Expectation("the price fell by 9 % or more", lambda t: t.price_low <= t.price_first * Decimal("0.92")),
                Expectation("and came back", lambda t: t.price_last >= t.price_first * Decimal("0.96")),
                Expectation("the stop at the venue was met", lambda t: t.closed_by["STOP"] > 0),
                Expectation("the account survived", lambda t: t.drawdown_share < Decimal("0.15")),
            ),
        ),
        Scenario(
            "kill-not-acknowledged",
            "an operator kills the account, and the bot does not listen: the gate holds, and the fleet calls for a person",
            candles=120,
            profile=replace(STUBBORN, name="deaf-long"),
            press=Press(40, "the drill: the bot has stopped listening"),
            deaf_from=30,
            expectations=(
                Expectation("orders were refused from the kill on", lambda t: t.denied["KILL_SWITCH"] > 0),
                Expectation("the bot carried out no command", lambda t: not t.commands),
                Expectation("the kill escalated", lambda t: any(halt.stage == "NOT_ACKNOWLEDGED" for halt in t.halts.values())),
                Expectation("a person is called to close by hand", lambda t: t.manual_close_needed),
            ),
        ),
        Scenario(
            "bus-partition",
            "the bot loses the bus for 30 seconds; nothing it has to say is lost",
            candles=75,
            profile=BUSY,
            partitions=(Partition(15, 30.0),),
            expectations=(
                Expectation(
                    "orders were answered by the SDK itself", lambda t: t.local_allowed + sum(t.local_denied.values()) > 0
                ),
                Expectation("events waited in the spool", lambda t: t.spooled_max > 0),
                Expectation("and the gateway answered again afterwards", lambda t: t.answered_after_heal > 0),
            ),
            needs_wall=True,
            speed=60.0,
        ),
    )
}


def moved(candles: Iterable[Candle], moves: tuple[Move, ...], instrument: Instrument, skip: int = 0) -> Iterator[Candle]:
    """The candles with the moves of a scenario applied after the first `skip`; they still join without gaps."""
    before = 1.0
    for number, candle in enumerate(candles, start=-skip):
        after = math.prod(_factor(move, number + 1) for move in moves)
        yield candle if before == after == 1.0 else _stretched(candle, before, after, instrument)
        before = after


def _factor(move: Move, number: int) -> float:
    """How far a move has come before candle `number`."""
    share = min(max((number - move.at) / move.candles, 0.0), 1.0)
    return math.pow(1.0 + move.share, share)


def _stretched(candle: Candle, before: float, after: float, instrument: Instrument) -> Candle:
    def times(price: Decimal, factor: float) -> Decimal:
        return max(instrument.nearest(price * Decimal(str(round(factor, 9)))), instrument.tick)

    opened, close = times(candle.open, before), times(candle.close, after)
    middle = (before + after) / 2
    high = max(opened, close, times(candle.high, middle))
    low = min(opened, close, times(candle.low, middle))
    return replace(candle, open=opened, high=high, low=low, close=close)
