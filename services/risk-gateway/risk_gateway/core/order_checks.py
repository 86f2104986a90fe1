"""Checks of the order itself: its age, its symbol, its quantity, its price."""

from fleet_contracts import Reason
from fleet_contracts.money import plain, tidy
from risk_gateway.core.decision import NewDecision, Refusal
from risk_gateway.core.equity import HUNDRED


def request_is_fresh(case: NewDecision) -> Refusal | None:
    """An ORDER_REQUEST event is answered within `request_ttl_ms`. Reductions too."""
    if not case.asked.expired:
        return None
    return Refusal(Reason.REQUEST_EXPIRED, f"the request is older than {case.standing.rules.risk.request_ttl_ms} ms")


def symbol_allowed(case: NewDecision) -> Refusal | None:
    """The symbol is on the allow-list."""
    if case.terms.symbol is not None:
        return None
    return Refusal(Reason.SYMBOL_NOT_ALLOWED, f"{case.order.symbol} is not on the account's list of symbols")


def qty_in_bounds(case: NewDecision) -> Refusal | None:
    """The symbol's smallest and largest order."""
    symbol, qty = case.terms.symbol, case.order.qty
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


def price_collar(case: NewDecision) -> Refusal | None:
    """CO-1: `|price − fair| × 100 ≤ collar × fair`, of the order's own price and its stop price; no fair price: denied."""
    pct = case.terms.collar_pct
    if pct is None:
        return None
    fair = case.collar_price
    if fair is None:
        age_s = case.standing.rules.stale_price.total_seconds()
        return Refusal(Reason.NO_PRICE, f"no fresh price to hold the order against: no MARK of the last {age_s:g} s")
    order, room = case.order, pct * fair
    for price in (order.price, order.stop_price):
        if price is not None and abs(price - fair) * HUNDRED > room:
            place = case.terms.whose.get("price_collar_pct")
            where = f" ({place})" if place is not None else ""
            message = f"price {plain(price)} is more than {plain(pct)} % from {plain(tidy(fair))}{where}"
            return Refusal(Reason.PRICE_COLLAR, message, price, fair)
    return None
