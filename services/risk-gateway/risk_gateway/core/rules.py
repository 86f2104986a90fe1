"""The limits in force, made out of the newest RISK_LIMITS fact; and that fact, made out of risk.yaml."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from fleet_contracts import AccountClock, RiskLimits
from fleet_contracts.money import MONEY as EXACT
from fleet_contracts.risk_config import AccountRisk
from risk_gateway.core.trading_day import TradingDays

MEMORY_S = 86_400
"""An order id is remembered for this long after its hold ended."""
ONE = Decimal(1)
_BPS = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Setup:
    """What the configuration says of an account before the log says anything."""

    risk: AccountRisk
    clock: AccountClock
    equity_source: str


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
    factors: dict[str, Decimal]
    """By symbol: what a price is multiplied with to hold one unit of quantity, contract × fee. Others: `fee`."""
    days: TradingDays
    valid: timedelta
    grace: timedelta
    ttl: timedelta
    stale_equity: timedelta

    def day_of(self, moment: datetime) -> str:
        """The trading day a moment belongs to (DL-1)."""
        return self.days.of(moment)

    def contract(self, symbol: str) -> Decimal:
        """Units of currency per unit of quantity and price; 1 for a symbol outside the allow-list."""
        rules = self.risk.symbols.get(symbol)
        return rules.contract_size if rules else ONE


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
    return Rules(
        revision=fact.revision,
        digest=fact.digest,
        risk=risk,
        clock=fact.clock,
        equity_source=fact.equity_source,
        memory_s=fact.memory_s,
        fee=fee,
        factors={name: EXACT.multiply(symbol.contract_size, fee) for name, symbol in risk.symbols.items()},
        days=TradingDays(ZoneInfo(risk.day.zone), timedelta(hours=int(hours), minutes=int(minutes))),
        valid=timedelta(seconds=risk.decision_valid_s),
        grace=timedelta(seconds=risk.hold_grace_s),
        ttl=timedelta(milliseconds=risk.request_ttl_ms),
        stale_equity=timedelta(seconds=risk.limits.stale_equity_s),
    )


_CARRIED = (
    "currency",
    "decision_valid_s",
    "hold_grace_s",
    "request_ttl_ms",
    "taker_fee_bps",
    "bots",
    "strategies",
    "on_hard_breach",
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
