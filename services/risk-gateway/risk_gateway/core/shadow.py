"""A candidate set of limits beside the live one (R10): what it would have answered to the orders the live one has judged.

It judges the very case: the book, the prices, the equity and the halts of that moment, with its own numbers. So it tells how
many orders would have been answered otherwise, one by one; it does not play a history in which they had been. Orders count in
its throttles when the live limits have allowed them.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from decimal import Decimal

from fleet_contracts import Reason, RiskLimits, TradingState
from fleet_contracts.money import ZERO, down12, exactly, product_up
from risk_gateway.core.decision import NewDecision, Refusal
from risk_gateway.core.equity import HUNDRED, PERCENT
from risk_gateway.core.judge import ask_checks, fair_price, worst_price
from risk_gateway.core.rules import Rules, Setup, limits_fields, rules_of
from risk_gateway.core.standing import Standing
from risk_gateway.core.throttles import Throttles

EXAMPLES_MAX = 20


@dataclass(frozen=True, slots=True)
class Example:
    """An order that the two sets would answer differently. A refusal is None for an ALLOW."""

    case: NewDecision
    live: Refusal | None
    shadow: Refusal | None


@dataclass(slots=True)
class Tally:
    """What was found so far. Reasons count how often the one set denied and the other did not."""

    judged: int = 0
    would_deny: dict[Reason, int] = field(default_factory=dict)
    would_allow: dict[Reason, int] = field(default_factory=dict)
    denied: deque[Example] = field(default_factory=lambda: deque(maxlen=EXAMPLES_MAX))
    """The newest orders that the candidate would have denied, and the live limits have allowed."""
    allowed: deque[Example] = field(default_factory=lambda: deque(maxlen=EXAMPLES_MAX))


class Shadow:
    """One candidate for one account."""

    def __init__(self, setup: Setup) -> None:
        fields = {"event_type": "RISK_LIMITS", "revision": 1, **limits_fields(setup)}
        self.rules: Rules = rules_of(RiskLimits.model_validate(fields))
        self.tally = Tally()
        self._throttles = Throttles()
        self._of: Standing | None = None
        self._stands: Standing | None = None

    @exactly
    def see(self, case: NewDecision) -> None:
        """Judge an order that the live limits have judged; one that only used an id again is passed over."""
        if case.reason is Reason.IDEMPOTENCY_CONFLICT:
            return
        tally, live = self.tally, case.refusal
        shadow = self._refusal(case)
        tally.judged += 1
        if live is None and shadow is not None:
            tally.would_deny[shadow.reason] = tally.would_deny.get(shadow.reason, 0) + 1
            tally.denied.append(Example(case, live, shadow))
        elif live is not None and shadow is None:
            tally.would_allow[live.reason] = tally.would_allow.get(live.reason, 0) + 1
            tally.allowed.append(Example(case, live, shadow))
        if live is None and self.rules.throttled:
            order = case.reservation()
            self._throttles.note(order, self.rules.terms(order.bot, order.strategy, order.symbol))

    def _refusal(self, case: NewDecision) -> Refusal | None:
        again = self.restated(case)
        ask_checks(again)
        return again.refusal

    def restated(self, case: NewDecision) -> NewDecision:
        """The case under the candidate's numbers. Needs the exact decimal context."""
        asked, order, rules = case.asked, case.order, self.rules
        terms = rules.terms(asked.bot, order.strategy, order.symbol)
        price, source = worst_price(asked, rules)
        unit = product_up(price, terms.factor) if price is not None else ZERO
        hold = product_up(case.opening, unit)
        new = max(ZERO, hold - (case.hold - case.new))  # what a replaced order held is given back
        return replace(
            case,
            standing=self._standing(case.standing),
            terms=terms,
            throttles=replace(self._throttles, disabled=case.throttles.disabled if rules.repeats else {}),
            price=price,
            price_source=source,
            unit=unit,
            hold=hold,
            new=new,
            gross=case.gross - case.new + new,
            collar_price=None if terms.collar_pct is None else fair_price(asked, rules),
            refusal=None,
            check=None,
            windows=None,
        )

    def _standing(self, live: Standing) -> Standing:
        """How the account stood, under the candidate; made once for every standing of the live limits."""
        if self._of is not live or self._stands is None:
            self._of, self._stands = live, under(self.rules, live)
        return self._stands


def under(rules: Rules, live: Standing) -> Standing:
    """A standing under other rules: the same halts and the same equity, other limits. Needs the exact decimal context."""
    limits = rules.risk.limits
    state = live.trading_state
    if state is not TradingState.HALTED:
        deep = _deeper(live, limits.max_drawdown.soft_pct)
        state = TradingState.REDUCING if deep else TradingState.ACTIVE
    amount = live.base.amount if live.base is not None else ZERO
    return replace(
        live,
        rules=rules,
        limits=limits,
        trading_state=state,
        fresh_until=None if live.observed_at is None else live.observed_at + rules.stale_equity,
        gross_limit=limits.max_leverage * live.worth,
        loss_limit=min(limits.max_daily_loss.amount, down12(amount * limits.max_daily_loss.pct * PERCENT)),
        too_deep=_deeper(live, limits.max_drawdown.hard_pct),
        checks=None,
    )


def _deeper(live: Standing, pct: Decimal) -> bool:
    """DD-1."""
    return live.high > 0 and live.fall * HUNDRED > pct * live.high
