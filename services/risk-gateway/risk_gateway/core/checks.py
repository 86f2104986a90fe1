"""The checks, in their fixed order: one rule, one function, one row. The first refusal is the reason.

Each takes the decision as it stands and gives None or a `Refusal`. All but those in `OF_REDUCTIONS_TOO` are asked about
openings only: limits, halts and stale data never deny a verified reduction (invariant 4).
"""

from collections.abc import Callable
from decimal import Decimal

from fleet_contracts import Reason, TradingState
from fleet_contracts.money import ZERO, plain
from risk_gateway.core.decision import NewDecision, Refusal

Check = Callable[[NewDecision], Refusal | None]


def request_is_fresh(case: NewDecision) -> Refusal | None:
    """An ORDER_REQUEST event is answered within `request_ttl_ms`. Reductions too."""
    if not case.asked.expired:
        return None
    return Refusal(Reason.REQUEST_EXPIRED, f"the request is older than {case.standing.rules.risk.request_ttl_ms} ms")


def not_halted(case: NewDecision) -> Refusal | None:
    """No halt is in force."""
    halt = case.standing.halt
    if halt is None:
        return None
    message = "the account is halted; only reductions are allowed"
    if case.order.reduce_only:
        message += f", and of this order only {plain(case.room)} would be one: other orders on their way may fill before it"
    return Refusal(halt, message)


def entries_allowed(case: NewDecision) -> Refusal | None:
    """REDUCING: the soft drawdown limit is passed."""
    if case.standing.trading_state is not TradingState.REDUCING:
        return None
    return Refusal(Reason.REDUCE_ONLY_MODE, "the account is reducing; no entries")


def symbol_allowed(case: NewDecision) -> Refusal | None:
    """The symbol is on the allow-list."""
    if case.symbol is not None:
        return None
    return Refusal(Reason.SYMBOL_NOT_ALLOWED, f"{case.order.symbol} is not on the account's list of symbols")


def qty_in_bounds(case: NewDecision) -> Refusal | None:
    """The symbol's smallest and largest order."""
    symbol, qty = case.symbol, case.order.qty
    if symbol is None or symbol.min_qty <= qty <= symbol.max_qty:
        return None
    if qty < symbol.min_qty:
        return Refusal(Reason.QTY_TOO_SMALL, "the quantity is under the symbol's minimum", qty, symbol.min_qty)
    return Refusal(Reason.QTY_TOO_LARGE, "the quantity is over the symbol's maximum", qty, symbol.max_qty)


def reduce_only_does_not_flip(case: NewDecision) -> Refusal | None:
    """OP-2: a reduce-only order larger than what is left to reduce is denied, not flipped."""
    if not case.order.reduce_only:
        return None
    qty, room = case.order.qty, case.room
    message = f"reduce-only {plain(qty)} is more than the {plain(room)} that other live orders leave to reduce"
    return Refusal(Reason.REDUCE_ONLY_WOULD_FLIP, message, qty, room)


def has_price(case: NewDecision) -> Refusal | None:
    """NO-2: some price counts, and every position has one: what it is worth is never taken for nothing."""
    if case.unpriced:
        symbol = min(case.unpriced)
        return Refusal(Reason.NO_PRICE, f"the position in {symbol} has no price; report its fills with last_price, or EQUITY")
    if case.price is None:
        return Refusal(Reason.NO_PRICE, "no price counts: send price or reference_price, or publish MARK for market orders")
    return None


def stale_equity(case: NewDecision) -> Refusal | None:
    """The newest EQUITY of the equity source is young enough, and today has a base (DL-7)."""
    standing, now = case.standing, case.asked.now
    if standing.fresh_until is None:
        return Refusal(Reason.STALE_EQUITY, "no EQUITY has arrived yet")
    if now > standing.fresh_until:
        limit = standing.limits.stale_equity_s
        age_s = (now - standing.fresh_until + standing.rules.stale_equity).total_seconds()
        age = Decimal(round(age_s * 1000)) / 1000
        return Refusal(Reason.STALE_EQUITY, f"EQUITY is {age} s old; the limit is {limit:g} s", age, Decimal(str(limit)))
    day = standing.rules.day_of(now)
    if standing.base_day != day:
        return Refusal(Reason.STALE_EQUITY, f"{day} has no base yet: no trusted EQUITY since the cutoff")
    return None


def untrusted_equity(case: NewDecision) -> Refusal | None:
    """EQ-6: while the equity is untrusted, or it or the day's base is not positive, reductions only."""
    if case.standing.usable:
        return None
    equity = case.standing.equity
    if not equity.usable():
        return Refusal(Reason.EQUITY_UNTRUSTED, "the equity is untrusted or not positive", equity.equity, ZERO)
    amount = equity.base.amount if equity.base else ZERO
    return Refusal(Reason.EQUITY_UNTRUSTED, "the day's base is not positive", amount, ZERO)


def max_order_notional(case: NewDecision) -> Refusal | None:
    """`qty × price × contract ≤ max_order_notional`."""
    limit = case.standing.limits.max_order_notional
    if case.opening is case.order.qty and case.hold <= limit:
        return None  # it holds all of that and the fee
    value = case.order_notional
    if value <= limit:
        return None
    return _over(case, Reason.ORDER_NOTIONAL_TOO_LARGE, "order notional", value, limit)


def max_notional_per_symbol(case: NewDecision) -> Refusal | None:
    """Exposure of the symbol with this order ≤ max_notional_per_symbol."""
    value, limit = case.symbol_exposure + case.new, case.standing.limits.max_notional_per_symbol
    if value <= limit:
        return None
    return _over(case, Reason.SYMBOL_NOTIONAL_TOO_LARGE, "symbol exposure", value, limit)


def max_gross_exposure(case: NewDecision) -> Refusal | None:
    """LV-1: gross exposure with this order ≤ max_gross_exposure."""
    value, limit = case.gross, case.standing.limits.max_gross_exposure
    if value <= limit:
        return None
    return _over(case, Reason.GROSS_EXPOSURE_TOO_LARGE, "gross exposure", value, limit)


def max_leverage(case: NewDecision) -> Refusal | None:
    """LV-1: gross exposure with this order ≤ max_leverage × equity, compared by multiplying."""
    value, limit = case.gross, case.standing.gross_limit
    if value <= limit:
        return None
    return _over(case, Reason.LEVERAGE_TOO_HIGH, "gross exposure", value, limit, " (leverage × equity)")


def max_daily_loss(case: NewDecision) -> Refusal | None:
    """DL-3: the day's loss trips at the limit itself."""
    loss, limit = case.standing.loss, case.standing.loss_limit
    if loss < limit:
        return None
    return Refusal(Reason.DAILY_LOSS, _said("the day's loss", loss, case, "has reached the limit of", limit), loss, limit)


def max_drawdown(case: NewDecision) -> Refusal | None:
    """DD-1: `(H − E) × 100 > hard_pct × H` denies entries even before the halt is recorded."""
    if not case.standing.too_deep:
        return None
    equity, hard = case.standing.equity, case.standing.limits.max_drawdown.hard_pct
    message = f"the drawdown from {plain(equity.high or ZERO)} is over {plain(hard)} %"
    return Refusal(Reason.MAX_DRAWDOWN, message, equity.fall(), equity.fall_limit(hard))


def max_open_orders(case: NewDecision) -> Refusal | None:
    """Live orders of the account, this one included, ≤ max_open_orders."""
    open_orders, limit = case.open_orders, case.standing.limits.max_open_orders
    if open_orders < limit:
        return None
    message = f"{open_orders} orders are open; the limit is {limit}"
    return Refusal(Reason.TOO_MANY_OPEN_ORDERS, message, Decimal(open_orders + 1), Decimal(limit))


CHECKS: tuple[Check, ...] = (
    request_is_fresh,
    not_halted,
    entries_allowed,
    symbol_allowed,
    qty_in_bounds,
    reduce_only_does_not_flip,
    has_price,
    stale_equity,
    untrusted_equity,
    max_order_notional,
    max_notional_per_symbol,
    max_gross_exposure,
    max_leverage,
    max_daily_loss,
    max_drawdown,
    max_open_orders,
)
OF_REDUCTIONS_TOO = frozenset({request_is_fresh})


def _over(case: NewDecision, reason: Reason, what: str, value: Decimal, limit: Decimal, how: str = "") -> Refusal:
    return Refusal(reason, _said(what, value, case, "is over the limit of", limit) + how, value, limit)


def _said(what: str, value: Decimal, case: NewDecision, verb: str, limit: Decimal) -> str:
    """`order notional 430.01 USDT is over the limit of 400 USDT`."""
    currency = case.standing.rules.risk.currency
    return f"{what} {plain(value.normalize())} {currency} {verb} {plain(limit.normalize())} {currency}"
