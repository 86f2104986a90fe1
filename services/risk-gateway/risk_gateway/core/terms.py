"""What an order is held to: of every limit of its account, bot, strategy and symbol the strictest, and whose that is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from fleet_contracts.money import MONEY as EXACT
from fleet_contracts.risk_config import AccountRisk, Limits, Overrides, Rate, Repeats, SymbolRules

ACCOUNT, BOT, STRATEGY, SYMBOL = "account", "bot", "strategy", "symbol"
EVERYBODY = ("",)
"""Whose orders count when no bot's own do."""
Scope = tuple[str, str]
"""(kind, name): whose orders a limit counts. The account's own name is empty."""


@dataclass(frozen=True, slots=True)
class Gate:
    """At most so many orders of a scope: `count` of them live, or within `per`."""

    scope: Scope
    count: int
    per: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits of one bot's orders of one strategy in one symbol. Amounts in the account's currency."""

    symbol: SymbolRules | None
    """None for a symbol that is not on the list."""
    contract: Decimal
    """Units of currency per unit of quantity and price; 1 for a symbol that is not on the list."""
    factor: Decimal
    """What a price is multiplied with to hold one unit of quantity: contract × (1 + taker fee)."""
    max_order_notional: Decimal
    max_notional: Decimal
    """Of the symbol's exposure."""
    max_gross_exposure: Decimal
    max_leverage: Decimal | None
    """Where it is stricter than the account's."""
    collar_pct: Decimal | None
    own_orders: tuple[Gate, ...]
    """max_open_orders of the bot and of the strategy."""
    rates: tuple[Gate, ...]
    """TH-1."""
    repeats: tuple[Gate, ...]
    """TH-2. The account's counts the strategy's orders, whichever bot sends them; so does the strategy's own."""
    rated: tuple[Scope, ...]
    """The scopes of `rates`."""
    sent_by: tuple[str, ...]
    """Among whose orders `repeats` count: everybody's (empty), then the bot's own."""
    remembered: timedelta
    """For so long an order is remembered for TH-2, whoever sends it."""
    whose: Mapping[str, str]
    """limit → where in risk.yaml the strictest stands, when that is not the account's."""


def terms_of(risk: AccountRisk, fee: Decimal, bot: str, strategy: str | None, symbol: str) -> Terms:
    """The terms of one bot, strategy and symbol under an account's rules; `fee`: 1 + taker fee."""
    listed = risk.symbols.get(symbol)
    contract = listed.contract_size if listed is not None else Decimal(1)
    strictest = _Strictest(list(_sources(risk, bot, strategy, symbol)))
    leverage = strictest.of("max_leverage")
    rates = tuple(_gate(scope, rate) for scope, rate in strictest.all("order_rate"))
    repeats = tuple(_gate(scope, rate) for scope, rate in strictest.all("repeated_order"))
    return Terms(
        symbol=listed,
        contract=contract,
        factor=EXACT.multiply(contract, fee),
        max_order_notional=strictest.of("max_order_notional"),
        max_notional=strictest.of("max_notional_per_symbol"),
        max_gross_exposure=strictest.of("max_gross_exposure"),
        max_leverage=leverage if leverage != risk.limits.max_leverage else None,
        collar_pct=strictest.of("price_collar_pct"),
        own_orders=tuple(Gate(scope, limit) for scope, limit in strictest.all("max_open_orders") if scope[0] != ACCOUNT),
        rates=rates,
        repeats=repeats,
        rated=tuple(gate.scope for gate in rates),
        sent_by=_sent_by(bot, repeats),
        remembered=max((timedelta(seconds=rules.per_s) for rules in repeats_of(risk)), default=timedelta(0)),
        whose=strictest.whose,
    )


def _sent_by(bot: str, repeats: tuple[Gate, ...]) -> tuple[str, ...]:
    senders = {bot if gate.scope[0] == BOT else "" for gate in repeats}
    return EVERYBODY if senders == {""} else tuple(sorted(senders))


def repeats_of(risk: AccountRisk) -> list[Repeats]:
    """Every repeated_order of an account's rules."""
    places: list[Limits | Overrides] = [risk.limits, *risk.bots.values(), *risk.strategies.values()]
    return [rules.repeated_order for rules in places if rules.repeated_order is not None]


def rated_scopes(risk: AccountRisk) -> list[Scope]:
    """Whose orders an order_rate counts."""
    scopes: list[tuple[Scope, Limits | Overrides]] = [((ACCOUNT, ""), risk.limits)]
    scopes += [((BOT, name), rules) for name, rules in risk.bots.items()]
    scopes += [((STRATEGY, name), rules) for name, rules in risk.strategies.items()]
    return [scope for scope, rules in scopes if rules.order_rate is not None]


@dataclass(frozen=True, slots=True)
class _Source:
    """One place of risk.yaml that may set limits."""

    scope: Scope
    place: str
    rules: Any
    names: Mapping[str, str]
    """limit → its name there, where that differs."""

    def get(self, limit: str) -> Any:
        return getattr(self.rules, self.names.get(limit, limit), None)


def _sources(risk: AccountRisk, bot: str, strategy: str | None, symbol: str) -> Iterator[_Source]:
    yield _Source((ACCOUNT, ""), "limits", risk.limits, {})
    if bot in risk.bots:
        yield _Source((BOT, bot), f"bots.{bot}", risk.bots[bot], {})
    if strategy is not None and strategy in risk.strategies:
        yield _Source((STRATEGY, strategy), f"strategies.{strategy}", risk.strategies[strategy], {})
    if symbol in risk.symbols:
        yield _Source((SYMBOL, symbol), f"symbols.{symbol}", risk.symbols[symbol], {"max_notional_per_symbol": "max_notional"})


class _Strictest:
    """Picks the smallest of every limit, and remembers whose it was."""

    def __init__(self, sources: list[_Source]) -> None:
        self._sources = sources
        self.whose: dict[str, str] = {}

    def of(self, limit: str) -> Any:
        """The smallest value; None when nobody sets it."""
        found = [(source.get(limit), source.place) for source in self._sources if source.get(limit) is not None]
        if not found:
            return None
        value, place = min(found, key=lambda row: row[0])  # of equal ones the account's
        if place != "limits":
            self.whose[limit] = place
        return value

    def all(self, limit: str) -> Iterator[tuple[Scope, Any]]:
        """Every place that sets it: such limits count different orders, so all of them count."""
        return ((source.scope, source.get(limit)) for source in self._sources if source.get(limit) is not None)


def _gate(scope: Scope, rate: Rate | Repeats) -> Gate:
    return Gate(scope, rate.count, timedelta(seconds=rate.per_s))
