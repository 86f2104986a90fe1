"""What the strategy says and hears: its wishes, the standing of its account, and what it keeps in mind."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Self

from fleet_contracts import OrderType, Side

_AMOUNTS = ("qty", "stop", "target")


@dataclass(frozen=True, slots=True)
class Wish:
    """An order the strategy would like, or (`qty` zero) only an opinion to be logged. `lives`: candles until it is
    cancelled; `stop` and `target`: distances from the entry, in currency.
    """

    decision: str
    strategy: str
    symbol: str
    side: Side
    qty: Decimal
    order_type: OrderType
    reference: Decimal
    price: Decimal | None
    conf: float
    regime: str
    features: Mapping[str, float | str]
    lives: int = 0
    stop: Decimal = Decimal(0)
    target: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the strategy knows of its account. `position` signed; `entering`: an entry order is working."""

    position: Decimal
    avg_price: Decimal
    entering: bool
    exiting: bool
    may_enter: bool


@dataclass(slots=True)
class Plan:
    """What was intended with the position: distances in currency, quantities in units, candles by number."""

    strategy: str
    qty: Decimal
    stop: Decimal
    target: Decimal
    since: int
    adds: int = 0
    last_add: int = 0


@dataclass(slots=True)
class Memory:
    """What outlives a restart of the bot."""

    plan: Plan | None = None
    quiet_until: dict[str, int] = field(default_factory=dict)
    """strategy → candle before which it wishes nothing."""

    def dump(self) -> dict[str, Any]:
        """As plain JSON values."""
        plan: dict[str, Any] | None = None
        if self.plan is not None:
            amounts = {name: str(getattr(self.plan, name)) for name in _AMOUNTS}
            plan = {**asdict(self.plan), **amounts}
        return {"plan": plan, "quiet_until": self.quiet_until}

    @classmethod
    def load(cls, fields: Mapping[str, Any]) -> Self:
        """Out of `dump`. Raises KeyError, TypeError, ValueError or ArithmeticError when it is none."""
        plan = fields["plan"]
        if plan is not None:
            plan = Plan(**{**plan, **{name: Decimal(plan[name]) for name in _AMOUNTS}})
        return cls(plan, {str(name): int(number) for name, number in fields["quiet_until"].items()})
