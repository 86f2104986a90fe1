"""Checks of sums and counts: how large, how much in all, how many, how often, how often the same."""

from decimal import Decimal

from fleet_contracts import Reason
from risk_gateway.core.decision import NewDecision, Refusal
from risk_gateway.core.terms import BOT, Gate
from risk_gateway.core.throttles import samenesses


def strategy_enabled(case: NewDecision) -> Refusal | None:
    """TH-2: neither the order's strategy nor its bot was disabled for repeating itself."""
    throttles = case.throttles
    if not throttles.disabled and not throttles.tripping:
        return None
    disabled = throttles.disabling(case.asked.bot, case.order.strategy)
    if disabled is None:
        return None
    kind, name = disabled
    return Refusal(Reason.REPEATED_ORDER, f"{kind} {name} is disabled for repeating itself, until a person enables it")


def max_order_notional(case: NewDecision) -> Refusal | None:
    """`qty × price × contract ≤ max_order_notional`."""
    limit = case.terms.max_order_notional
    if case.opening is case.order.qty and case.hold <= limit:
        return None  # it holds all of that and the fee
    value = case.order_notional
    if value <= limit:
        return None
    return _over(case, Reason.ORDER_NOTIONAL_TOO_LARGE, "order notional", value, limit, "max_order_notional")


def max_notional_per_symbol(case: NewDecision) -> Refusal | None:
    """Exposure of the symbol with this order ≤ max_notional_per_symbol."""
    value, limit = case.symbol_exposure + case.new, case.terms.max_notional
    if value <= limit:
        return None
    return _over(case, Reason.SYMBOL_NOTIONAL_TOO_LARGE, "symbol exposure", value, limit, "max_notional_per_symbol")


def max_gross_exposure(case: NewDecision) -> Refusal | None:
    """LV-1: gross exposure with this order ≤ max_gross_exposure."""
    value, limit = case.gross, case.terms.max_gross_exposure
    if value <= limit:
        return None
    return _over(case, Reason.GROSS_EXPOSURE_TOO_LARGE, "gross exposure", value, limit, "max_gross_exposure")


def max_leverage(case: NewDecision) -> Refusal | None:
    """LV-1: gross exposure with this order ≤ max_leverage × equity, compared by multiplying."""
    own = case.terms.max_leverage
    value, limit = case.gross, case.standing.gross_limit if own is None else own * case.standing.worth
    if value <= limit:
        return None
    return _over(case, Reason.LEVERAGE_TOO_HIGH, "gross exposure", value, limit, "max_leverage", " (leverage × equity)")


def max_open_orders(case: NewDecision) -> Refusal | None:
    """Live orders of the account, this one included, ≤ max_open_orders; so those of its bot and of its strategy."""
    limit = case.standing.limits.max_open_orders
    if case.open_orders >= limit:
        return _too_many("", case.open_orders, limit)
    for gate in case.terms.own_orders:
        orders = case.bot_orders if gate.scope[0] == BOT else case.strategy_orders
        if orders >= gate.count:
            return _too_many(f" of {_named(gate)}", orders, gate.count)
    return None


def order_rate(case: NewDecision) -> Refusal | None:
    """TH-1: fewer than `count` orders and cancels within the last `per_s` seconds."""
    for gate in case.terms.rates:
        if case.throttles.full(gate, gate.scope, gate.count, case.asked.now):
            message = f"{gate.count} orders of {_named(gate)} in {gate.per.total_seconds():g} s are as many as are allowed"
            return Refusal(Reason.ORDER_RATE, message, Decimal(gate.count + 1), Decimal(gate.count))
    return None


def repeated_order(case: NewDecision) -> Refusal | None:
    """TH-2: the `count`-th opening like this one within `per_s` seconds is denied, and disables its strategy. No modify is."""
    if case.replaced_filled is not None:
        return None
    terms, asked, throttles = case.terms, case.asked, case.throttles
    kinds = samenesses(case.order, asked.bot, terms)
    case.windows = (*terms.rated, *kinds)
    for gate in terms.repeats:
        kind = kinds[-1] if gate.scope[0] == BOT else kinds[0]
        if throttles.full(gate, kind, gate.count - 1, asked.now):
            who, within_s = " ".join(kind.who), gate.per.total_seconds()
            same = f"{kind.side} of {kind.lots} lots {kind.symbol}"
            message = f"{gate.count} times the same order ({same}) in {within_s:g} s; {who} is disabled"
            return Refusal(Reason.REPEATED_ORDER, message, Decimal(gate.count), Decimal(gate.count))
    return None


def _too_many(whose: str, orders: int, limit: int) -> Refusal:
    message = f"{orders} orders{whose} are open; the limit is {limit}"
    return Refusal(Reason.TOO_MANY_OPEN_ORDERS, message, Decimal(orders + 1), Decimal(limit))


def _named(gate: Gate) -> str:
    """`the account`, `bot qe1`."""
    return " ".join(gate.scope) if gate.scope[1] else f"the {gate.scope[0]}"


def _over(case: NewDecision, reason: Reason, what: str, value: Decimal, limit: Decimal, name: str, how: str = "") -> Refusal:
    place = case.terms.whose.get(name)
    said = case.said(what, value, "is over the limit of", limit) + how
    return Refusal(reason, said if place is None else f"{said} ({place})", value, limit)
