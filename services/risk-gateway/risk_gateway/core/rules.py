"""The limits in force, made out of the newest RISK_LIMITS fact; and that fact, made out of risk.yaml."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from fleet_contracts import AccountClock, RiskLimits
from fleet_contracts.risk_config import AccountRisk
from risk_gateway.core.terms import Scope, Terms, rated_scopes, repeats_of, terms_of
from risk_gateway.core.trading_day import TradingDays

MEMORY_S = 86_400
"""An order id is remembered for this long after its hold ended."""
MARK_AGE = timedelta(seconds=15)
"""How old a MARK may be when the limits do not say."""
ONE = Decimal(1)
_BPS = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Setup:
    """What the configuration says of an account before the log says anything."""

    risk: AccountRisk
    clock: AccountClock
    equity_source: str
    bots: tuple[str, ...] = ()
    """The bots that trade it: who is told to close. Empty: whoever listens."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One revision of the limits, ready to judge by."""

    revision: int
    digest: str
    risk: AccountRisk
    clock: AccountClock
    equity_source: str
    memory_s: int
    fee: Decimal
    """1 + taker fee, as a factor of the notional."""
    days: TradingDays
    valid: timedelta
    grace: timedelta
    ttl: timedelta
    stale_equity: timedelta
    ack_within: timedelta
    flat_within: timedelta
    stale_price: timedelta
    """A MARK older than this is none."""
    untrusted_for: timedelta
    """EQ-5: so long must untrusted equity stay over a hard limit before it halts."""
    rated: tuple[Scope, ...]
    """Whose orders an order_rate counts."""
    collared: bool
    """Whether any price_collar_pct is set."""
    repeats: bool
    """Whether any repeated_order is set."""
    personal: bool
    """Whether a bot or a strategy has limits of its own."""
    throttled: bool
    """Whether anything counts orders over time."""
    _known: dict[Any, Terms] = field(default_factory=dict, compare=False, repr=False)
    """Terms that have been worked out: at most one for every bot, strategy and symbol of the rules."""

    def terms(self, bot: str, strategy: str | None, symbol: str) -> Terms:
        """What an order is held to: of every limit the strictest."""
        if not self.personal:
            known = self._known.get(symbol)
            return known if known is not None else self._learn(symbol if symbol in self.risk.symbols else "")
        return self._learn(
            symbol if symbol in self.risk.symbols else "",
            bot if bot in self.risk.bots else "",
            strategy if strategy is not None and strategy in self.risk.strategies else "",
        )

    def _learn(self, symbol: str, bot: str = "", strategy: str = "") -> Terms:
        key = (bot, strategy, symbol) if self.personal else symbol
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = terms_of(self.risk, self.fee, bot, strategy, symbol)
        return known

    def day_of(self, moment: datetime) -> str:
        """The trading day a moment belongs to (DL-1)."""
        return self.days.of(moment)

    def contract(self, symbol: str) -> Decimal:
        """Units of currency per unit of quantity and price; 1 for a symbol outside the allow-list."""
        rules = self.risk.symbols.get(symbol)
        return rules.contract_size if rules else ONE


def mark_age(rules: Rules | None) -> timedelta:
    """How old a MARK may be to count."""
    return rules.stale_price if rules is not None else MARK_AGE


def rules_of(fact: RiskLimits) -> Rules:
    """Read a RISK_LIMITS fact. Raises ValueError when it is not one of ours."""
    more = fact.model_extra or {}
    risk = AccountRisk.model_validate(
        {
            "day": fact.day,
            "symbols": fact.symbols,
            "limits": fact.limits,
            **{name: more[name] for name in _CARRIED if name in more},
        }
    )
    hours, minutes = risk.day.cutoff.split(":")
    fee = 1 + risk.taker_fee_bps * _BPS
    rated, repeats = tuple(rated_scopes(risk)), bool(repeats_of(risk))
    return Rules(
        revision=fact.revision,
        digest=fact.digest,
        risk=risk,
        clock=fact.clock,
        equity_source=fact.equity_source,
        memory_s=fact.memory_s,
        fee=fee,
        days=TradingDays(ZoneInfo(risk.day.zone), timedelta(hours=int(hours), minutes=int(minutes))),
        valid=timedelta(seconds=risk.decision_valid_s),
        grace=timedelta(seconds=risk.hold_grace_s),
        ttl=timedelta(milliseconds=risk.request_ttl_ms),
        stale_equity=timedelta(seconds=risk.limits.stale_equity_s),
        ack_within=timedelta(seconds=risk.kill.ack_within_s),
        flat_within=timedelta(seconds=risk.kill.flat_within_s),
        stale_price=MARK_AGE if risk.limits.stale_price_s is None else timedelta(seconds=risk.limits.stale_price_s),
        untrusted_for=timedelta(seconds=risk.limits.untrusted_equity_s or 0),
        rated=rated,
        collared=any(pct is not None for pct in _collars(risk)),
        repeats=repeats,
        throttled=repeats or bool(rated),
        personal=bool(risk.bots or risk.strategies),
    )


def _collars(risk: AccountRisk) -> list[Decimal | None]:
    return [risk.limits.price_collar_pct, *(symbol.price_collar_pct for symbol in risk.symbols.values())]


_CARRIED = (
    "currency",
    "decision_valid_s",
    "hold_grace_s",
    "request_ttl_ms",
    "taker_fee_bps",
    "bots",
    "strategies",
    "on_hard_breach",
    "kill",
)


def limits_fields(setup: Setup) -> dict[str, object]:
    """The fields of a RISK_LIMITS fact that say `setup`, its digest included; revision, ids and people are the caller's."""
    risk = setup.risk.model_dump(mode="json", exclude_none=True)
    fields: dict[str, object] = {
        "clock": setup.clock,
        "day": risk["day"],
        "equity_source": setup.equity_source,
        "memory_s": MEMORY_S,
        "symbols": risk["symbols"],
        "limits": risk["limits"],
        **{name: risk[name] for name in _CARRIED if name in risk},
    }
    canonical = json.dumps(fields, sort_keys=True, default=str).encode()
    return {**fields, "digest": hashlib.sha256(canonical).hexdigest()[:32]}
