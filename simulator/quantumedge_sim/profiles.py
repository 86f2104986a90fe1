"""How the strategy is set: `calm` for a month in minutes, `busy` so that a person watching sees something happen."""

from dataclasses import dataclass, field
from decimal import Decimal

from quantumedge_sim.indicators import Periods


@dataclass(frozen=True, slots=True)
class Profile:
    """Distances in ATRs (of one candle), times in candles, amounts in currency."""

    name: str
    periods: Periods = field(default_factory=Periods)
    risk: Decimal = Decimal(30)
    """What an entry may lose at its stop: the quieter the market, the larger the order."""
    trend_gap: float = 2.5
    """How far fast and slow mean must be apart for a trend."""
    stop_atrs: float = 9.0
    target_atrs: float = 16.0
    fade_rsi: float = 12.0
    """In a range: buy below this RSI, sell above its mirror image. 0: never."""
    fade_stop_atrs: float = 5.0
    fade_target_atrs: float = 4.0
    hold: int = 360
    limit_lives: int = 6
    cool_down: int = 45
    """After an exit, or a refusal."""
    adds_max: int = 3
    add_every: int = 12
    add_share: Decimal = Decimal("0.7")
    """Of the entry's quantity."""
    scalp_every: int = 0
    """Candles between scalps when flat; 0: never."""
    scalp_notional: Decimal = Decimal(900)
    bold: float = 0.0
    """How often a scalp is far too sure of itself: `BOLD_TIMES` as large."""
    scout: float = 0.0
    """How often, per candle, the watch-list's other symbol gives a signal."""
    signal_every: int = 0
    """Candles between signals that are logged though nothing is done; 0: never."""
    long_only: bool = False
    never_exit: bool = False
    """No stop, no target, no time exit: only what the fleet commands ends a position (scenarios)."""
    headstrong: bool = False
    """Asks for entries even when it has been told that none are allowed (scenarios): so the fleet's refusals are seen."""


BOLD_TIMES = 22


CALM = Profile("calm", risk=Decimal(12), fade_rsi=0.0, scout=1 / 1440)
BUSY = Profile(
    "busy",
    periods=Periods(fast=8, slow=34, range=20, range_long=360, rsi=8, breakout=20),
    risk=Decimal(8),
    trend_gap=2.2,
    fade_rsi=0.0,
    fade_stop_atrs=2.0,
    fade_target_atrs=3.0,
    hold=90,
    limit_lives=3,
    cool_down=2,
    adds_max=12,
    add_every=2,
    add_share=Decimal("0.8"),
    scalp_every=1,
    scalp_notional=Decimal(250),
    bold=1 / 12,
    scout=1 / 10,
    signal_every=1,
)
PROFILES = {profile.name: profile for profile in (CALM, BUSY)}
