"""risk.yaml, typed. An unknown key is an error; the first eight limits have no default; an absent other limit is off."""

from decimal import Decimal
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fleet_contracts.envelope import Flag
from fleet_contracts.money import NotNegative, Price

Percent = Annotated[NotNegative, Field(le=100)]
Seconds = Annotated[float, Field(strict=True, gt=0, le=86_400)]
Orders = Annotated[int, Field(strict=True, ge=1)]
COUNT_MAX = 10_000
"""The most orders a throttle counts: it remembers when each of them came."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Day(_Closed):
    """When the trading day begins: `cutoff` (HH:MM) in an IANA `zone`; `base`: what the daily loss is measured from."""

    zone: str = "UTC"
    cutoff: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "00:00"
    base: Literal["equity", "balance", "max"] = "equity"
    auto_resume: Flag = False

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{zone!r} is not an IANA time zone") from error
        return zone


class SymbolRules(_Closed):
    """A symbol that may be traded. Quantities in the symbol's unit; `contract_size` units make one contract.

    `max_order_notional`, `max_notional` (of its exposure) and `price_collar_pct` are limits of this symbol alone.
    """

    lot: Price
    tick: Price
    contract_size: Price = Decimal(1)
    min_qty: Price
    max_qty: Price
    max_order_notional: Price | None = None
    max_notional: Price | None = None
    price_collar_pct: Percent | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_qty > self.max_qty:
            raise ValueError("min_qty is above max_qty")
        return self


class DailyLoss(_Closed):
    """Whichever is lower: an amount in the account's currency, or a percentage of the day's base."""

    amount: Price
    pct: Percent


class Drawdown(_Closed):
    """From the high-water mark, in per cent: over `soft_pct` no entries, over `hard_pct` a latched halt."""

    soft_pct: Percent
    hard_pct: Percent

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.soft_pct > self.hard_pct:
            raise ValueError("soft_pct is above hard_pct")
        return self


class KillTimes(_Closed):
    """How long a bot may take, in seconds of the account's clock: to answer that it closes, and to be flat."""

    ack_within_s: Seconds = 10
    flat_within_s: Seconds = 60


class Rate(_Closed):
    """At most `count` in any `per_s` seconds (TH-1)."""

    count: Annotated[int, Field(strict=True, ge=1, le=COUNT_MAX)]
    per_s: Seconds


class Repeats(_Closed):
    """The `count`-th order like the ones before it within `per_s` seconds is too many (TH-2)."""

    count: Annotated[int, Field(strict=True, ge=2, le=COUNT_MAX)]
    per_s: Seconds


class Limits(_Closed):
    """The limits of an account. Amounts in its currency. None = off.

    `untrusted_equity_s`: so long must untrusted equity stay over a hard limit before it halts (EQ-5); off: it halts at once.
    """

    max_daily_loss: DailyLoss
    max_drawdown: Drawdown
    max_order_notional: Price
    max_notional_per_symbol: Price
    max_gross_exposure: Price
    max_leverage: Price
    max_open_orders: Orders
    stale_equity_s: Seconds
    order_rate: Rate | None = None
    repeated_order: Repeats | None = None
    price_collar_pct: Percent | None = None
    stale_price_s: Seconds | None = None
    stale_heartbeat_s: Seconds | None = None
    position_drift_qty: NotNegative | None = None
    untrusted_equity_s: Seconds | None = None
    warn_pct: Percent | None = None


class Overrides(_Closed):
    """Limits for the orders of one bot or one strategy, measured on the account's sums; `max_open_orders`, `order_rate` and
    `repeated_order` count their own orders. Of every limit the strictest counts.
    """

    max_order_notional: Price | None = None
    max_notional_per_symbol: Price | None = None
    max_gross_exposure: Price | None = None
    max_leverage: Price | None = None
    max_open_orders: Orders | None = None
    order_rate: Rate | None = None
    repeated_order: Repeats | None = None


class AccountRisk(_Closed):
    """One account's risk rules. Seconds and milliseconds as the names say; fees in basis points of the notional."""

    currency: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,10}$")]
    day: Day = Day()
    decision_valid_s: Seconds = 5
    hold_grace_s: Seconds = 10
    request_ttl_ms: Annotated[int, Field(strict=True, ge=1, le=600_000)] = 2000
    taker_fee_bps: NotNegative = Decimal(5)
    symbols: dict[str, SymbolRules]
    limits: Limits
    bots: dict[str, Overrides] = {}
    strategies: dict[str, Overrides] = {}
    on_hard_breach: Literal["close_positions", "manual_close_needed"] = "close_positions"
    kill: KillTimes = KillTimes()


class RiskConfig(_Closed):
    """The whole file: account → its rules."""

    accounts: Annotated[dict[str, AccountRisk], Field(min_length=1)]


ENFORCED = frozenset(
    {
        "max_daily_loss",
        "max_drawdown",
        "max_order_notional",
        "max_notional_per_symbol",
        "max_gross_exposure",
        "max_leverage",
        "max_open_orders",
        "stale_equity_s",
        "order_rate",
        "repeated_order",
        "price_collar_pct",
        "stale_price_s",
        "stale_heartbeat_s",
        "untrusted_equity_s",
        "warn_pct",
        "position_drift_qty",
    }
)
"""The limits this build enforces for an account."""
ENFORCED_OVERRIDES = frozenset(
    {
        "max_order_notional",
        "max_notional_per_symbol",
        "max_gross_exposure",
        "max_leverage",
        "max_open_orders",
        "order_rate",
        "repeated_order",
    }
)
"""The limits this build enforces for one bot or one strategy."""
ENFORCED_SYMBOL_LIMITS = frozenset({"max_order_notional", "max_notional", "price_collar_pct"})
"""The limits this build enforces for one symbol alone."""


_OF_A_SYMBOL = frozenset({"lot", "tick", "contract_size", "min_qty", "max_qty"})
"""What a symbol is, and its smallest and largest order."""


class UnenforcedLimit(ValueError):
    """A limit is configured that this build would not hold: the start must stop."""


def refuse_unenforced(config: RiskConfig) -> None:
    """Raise `UnenforcedLimit` naming the first configured limit that this build does not enforce."""
    for name, account in config.accounts.items():
        places: list[tuple[str, BaseModel, frozenset[str]]] = [(f"accounts.{name}.limits", account.limits, ENFORCED)]
        places += [(f"accounts.{name}.bots.{bot}", rules, ENFORCED_OVERRIDES) for bot, rules in account.bots.items()]
        places += [
            (f"accounts.{name}.strategies.{strategy}", rules, ENFORCED_OVERRIDES)
            for strategy, rules in account.strategies.items()
        ]
        for place, rules, enforced in places:
            _refuse(place, rules, enforced)
        for symbol, symbol_rules in account.symbols.items():
            _refuse(f"accounts.{name}.symbols.{symbol}", symbol_rules, ENFORCED_SYMBOL_LIMITS | _OF_A_SYMBOL)


def _refuse(place: str, rules: BaseModel, enforced: frozenset[str]) -> None:
    for limit in sorted(rules.model_fields_set):
        if getattr(rules, limit) is not None and limit not in enforced:
            raise UnenforcedLimit(f"{place}.{limit}: this build does not enforce it; remove it")
