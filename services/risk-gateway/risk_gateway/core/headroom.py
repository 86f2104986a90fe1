"""The limits in force as a person reads them: how much of each is used, what is left, and when it would be reached."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal, localcontext
from typing import Any

from fleet_contracts.envelope import format_ts
from fleet_contracts.money import MONEY, ZERO, plain, ratio
from fleet_contracts.risk_config import Limits, Overrides
from risk_gateway.core.account import Account
from risk_gateway.core.equity import HUNDRED
from risk_gateway.core.rules import Rules
from risk_gateway.core.state import State
from risk_gateway.core.terms import ACCOUNT, BOT, STRATEGY, Scope
from risk_gateway.core.trend import Key, Trend

Row = dict[str, Any]
OK, WARN, BREACH = "OK", "WARN", "BREACH"


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a limit is used. `place`: where in risk.yaml it stands; `of`: what it is measured on, if that has a name."""

    limit: str
    place: str
    used: Decimal
    top: Decimal
    of: str | None = None
    sum: bool = True
    """It fills up by and by, so that one can tell when it would be reached."""

    @property
    def key(self) -> Key:
        return self.limit, self.place

    @property
    def share(self) -> Decimal:
        """Used ÷ limit, to 12 places; 1 of a limit that allows nothing."""
        return ratio(self.used, self.top) if self.top > 0 else Decimal(1)

    def band(self, warn_pct: Decimal | None) -> str:
        """BREACH when nothing is left, WARN from `warn_pct` on, else OK."""
        if self.used >= self.top:
            return BREACH
        return WARN if warn_pct is not None and self.used * HUNDRED >= warn_pct * self.top else OK


def limits(account: Account, trend: Trend, now: datetime) -> Row:
    """The limits in force, and how much of each is used. Amounts in the account's currency."""
    rules, event = account.state.rules, account.state.limits
    if rules is None or event is None:
        return {"account": account.account, "revision": 0, "digest": "", "limits": {}, "symbols": {}, "usage": []}
    with localcontext(MONEY):
        rows = [_row(usage, rules, trend) for usage in usages(account, rules, now)]
    return {
        "account": account.account,
        "revision": rules.revision,
        "digest": rules.digest,
        "by": event.by,
        "reason": event.reason,
        "since": format_ts(event.ts) if event.ts else None,
        "currency": rules.risk.currency,
        "clock": rules.clock,
        "equity_source": rules.equity_source,
        "day": event.day,
        "limits": event.limits,
        "symbols": event.symbols,
        "risk": rules.risk.model_dump(mode="json", exclude_none=True),
        "usage": rows,
        "disabled": [
            {"kind": kind, "name": name, "since": format_ts(why.since), "cause": why.cause, "order_id": why.order_id}
            for (kind, name), why in account.state.throttles.disabled.items()
        ],
        "doubts": {cause: format_ts(since) for cause, since in account.state.doubts.items()},
    }


def sample(account: Account, trend: Trend, now: datetime) -> None:
    """Note how full the limits are now."""
    rules = account.state.rules
    if rules is not None:
        with localcontext(MONEY):
            shares = [(usage.key, float(usage.share)) for usage in usages(account, rules, now) if usage.sum]
        trend.note(now, shares)


def usages(account: Account, rules: Rules, now: datetime) -> Iterator[Usage]:
    """Every limit that is a sum, a count or an age; the others are judged order by order. Needs the exact decimal context."""
    state, risk = account.state, rules.risk
    yield from _of_symbols(state, rules)
    yield from _of_orders(account, risk.limits, "limits", (ACCOUNT, ""), now)
    equity = state.equity
    if equity.event and equity.observed_at is not None:
        if equity.base is not None:
            yield Usage("max_daily_loss", "limits", equity.daily_loss(), equity.daily_loss_limit(rules), of=equity.base.day)
        drawdown = risk.limits.max_drawdown
        yield Usage("max_drawdown", "limits", equity.fall(), equity.fall_limit(drawdown.hard_pct), of="hard_pct")
        yield Usage("max_drawdown", "limits (soft)", equity.fall(), equity.fall_limit(drawdown.soft_pct), of="soft_pct")
        age = Decimal(max(0, round((now - equity.observed_at).total_seconds() * 1000))).scaleb(-3)
        yield Usage("stale_equity_s", "limits", age, Decimal(str(risk.limits.stale_equity_s)), sum=False)
    for bot, rules_of_bot in risk.bots.items():
        yield from _of_orders(account, rules_of_bot, f"bots.{bot}", (BOT, bot), now)
    for strategy, rules_of_strategy in risk.strategies.items():
        yield from _of_orders(account, rules_of_strategy, f"strategies.{strategy}", (STRATEGY, strategy), now)


def _of_symbols(state: State, rules: Rules) -> Iterator[Usage]:
    """The symbol that has used most of its limit."""
    fullest: Usage | None = None
    for symbol, book in state.exposure.books.items():
        terms = rules.terms("", None, symbol)
        usage = Usage("max_notional_per_symbol", "limits", book.exposure, terms.max_notional, of=symbol)
        if fullest is None or usage.used * fullest.top > fullest.used * usage.top:
            fullest = usage
    if fullest is not None:
        yield fullest


def _of_orders(account: Account, limits: Limits | Overrides, place: str, scope: Scope, now: datetime) -> Iterator[Usage]:
    """What may stand for an account, a bot or a strategy: the sums are the account's, the counts its own."""
    state = account.state
    gross = state.exposure.gross
    if limits.max_gross_exposure is not None:
        yield Usage("max_gross_exposure", place, gross, limits.max_gross_exposure)
    if limits.max_leverage is not None and state.equity.event:
        yield Usage("max_leverage", place, gross, max(ZERO, limits.max_leverage * state.equity.equity))
    if limits.max_open_orders is not None:
        yield Usage("max_open_orders", place, Decimal(_open_orders(account, scope)), Decimal(limits.max_open_orders), sum=False)
    rate = limits.order_rate
    if rate is not None:
        sent = state.throttles.sent_since(scope, now, rate.per_s)
        yield Usage("order_rate", place, Decimal(min(sent, rate.count)), Decimal(rate.count), sum=False)


def _open_orders(account: Account, scope: Scope) -> int:
    kind, name = scope
    if kind == ACCOUNT:
        return account.open_orders
    return (account.state.by_bot if kind == BOT else account.state.by_strategy).get(name, 0)


def _row(usage: Usage, rules: Rules, trend: Trend) -> Row:
    ahead_s = trend.breach_in_s(usage.key, float(usage.share)) if usage.sum else None
    return {
        "limit": usage.limit,
        "place": usage.place,
        "of": usage.of,
        "used": _text(usage.used),
        "max": _text(usage.top),
        "headroom": _text(max(ZERO, usage.top - usage.used)),
        "used_pct": _text((usage.share * HUNDRED).quantize(_TENTH, context=_SHOWN)),
        "band": usage.band(rules.risk.limits.warn_pct),
        "breach_in_s": None if ahead_s is None else round(ahead_s, 1),
    }


def _text(amount: Decimal) -> str:
    return plain(amount.normalize(_SHOWN))


_TENTH = Decimal("0.1")
_SHOWN = Context(prec=60)
