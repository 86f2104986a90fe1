"""The checks, in their fixed order: one rule, one function, one row. The first refusal is the reason.

Each takes the `Case` and gives None or a `Refusal`. Except where said, a check looks at openings only: limits, halts and
stale data never deny a verified reduction (invariant 4).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal

from fleet_contracts import OrderRequest, Reason, TradingState
from fleet_contracts.money import ZERO, plain
from risk_gateway.core.equity import EquityState
from risk_gateway.core.rules import Rules


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order is denied: the reason, the check, what was measured, against what."""

    reason: Reason
    message: str
    value: Decimal | None = None
    limit: Decimal | None = None


@dataclass(slots=True)
class Case:
    """One order and everything it is judged by. Quantities in the symbol's unit, amounts in the account's currency."""

    order: OrderRequest
    rules: Rules
    equity: EquityState
    day: str
    equity_age_s: float | None
    halt: Reason | None
    trading_state: TradingState
    room: Decimal
    """R of OP-1."""
    opening: Decimal
    price: Decimal | None
    order_notional: Decimal
    new: Decimal
    """What the order would add to the exposure: its opening part at worst price, fee included."""
    symbol_exposure: Decimal
    gross: Decimal
    open_orders: int
    unpriced: Collection[str] = ()
    """Symbols with a position and no price."""
    expired: bool = False


Check = Callable[[Case], Refusal | None]


def request_is_fresh(case: Case) -> Refusal | None:
    """An ORDER_REQUEST event is answered within `request_ttl_ms`. Reductions too."""
    if case.expired:
        return Refusal(Reason.REQUEST_EXPIRED, f"the request is older than {case.rules.risk.request_ttl_ms} ms")
    return None


def not_halted(case: Case) -> Refusal | None:
    """No halt is in force."""
    if case.halt is None or not case.opening:
        return None
    message = "the account is halted; only reductions are allowed"
    if case.order.reduce_only:
        message += f", and of this order only {plain(case.room)} would be one: other orders on their way may fill before it"
    return Refusal(case.halt, message)


def entries_allowed(case: Case) -> Refusal | None:
    """REDUCING: the soft drawdown limit is passed."""
    if case.trading_state is TradingState.REDUCING and case.opening:
        return Refusal(Reason.REDUCE_ONLY_MODE, "the account is reducing; no entries")
    return None


def symbol_allowed(case: Case) -> Refusal | None:
    """The symbol is on the allow-list."""
    if case.opening and case.order.symbol not in case.rules.risk.symbols:
        return Refusal(Reason.SYMBOL_NOT_ALLOWED, f"{case.order.symbol} is not on the account's list of symbols")
    return None


def qty_in_bounds(case: Case) -> Refusal | None:
    """The symbol's smallest and largest order."""
    rules = case.rules.risk.symbols.get(case.order.symbol)
    if rules is None or not case.opening:
        return None
    if case.order.qty < rules.min_qty:
        return Refusal(Reason.QTY_TOO_SMALL, "the quantity is under the symbol's minimum", case.order.qty, rules.min_qty)
    if case.order.qty > rules.max_qty:
        return Refusal(Reason.QTY_TOO_LARGE, "the quantity is over the symbol's maximum", case.order.qty, rules.max_qty)
    return None


def reduce_only_does_not_flip(case: Case) -> Refusal | None:
    """OP-2: a reduce-only order larger than what is left to reduce is denied, not flipped."""
    if case.order.reduce_only and case.opening:
        return Refusal(
            Reason.REDUCE_ONLY_WOULD_FLIP,
            f"reduce-only {plain(case.order.qty)} is more than the {plain(case.room)} that other live orders leave to reduce",
            case.order.qty,
            case.room,
        )
    return None


def has_price(case: Case) -> Refusal | None:
    """NO-2: some price counts, and every position has one: what it is worth is never taken for nothing."""
    if case.opening and case.unpriced:
        symbol = min(case.unpriced)
        return Refusal(Reason.NO_PRICE, f"the position in {symbol} has no price; report its fills with last_price, or EQUITY")
    if case.opening and case.price is None:
        return Refusal(Reason.NO_PRICE, "no price counts: send price or reference_price, or publish MARK for market orders")
    return None


def stale_equity(case: Case) -> Refusal | None:
    """The newest EQUITY of the equity source is young enough, and today has a base (DL-7)."""
    if not case.opening:
        return None
    limit = case.rules.risk.limits.stale_equity_s
    if case.equity_age_s is None:
        return Refusal(Reason.STALE_EQUITY, "no EQUITY has arrived yet")
    if case.equity_age_s > limit:
        age = Decimal(round(case.equity_age_s * 1000)) / 1000
        return Refusal(Reason.STALE_EQUITY, f"EQUITY is {age} s old; the limit is {limit:g} s", age, Decimal(str(limit)))
    if case.equity.base is None or case.equity.base.day != case.day:
        return Refusal(Reason.STALE_EQUITY, f"{case.day} has no base yet: no trusted EQUITY since the cutoff")
    return None


def untrusted_equity(case: Case) -> Refusal | None:
    """EQ-6: while the equity is untrusted, or it or the day's base is not positive, reductions only."""
    if not case.opening:
        return None
    if not case.equity.usable():
        return Refusal(Reason.EQUITY_UNTRUSTED, "the equity is untrusted or not positive", case.equity.equity, ZERO)
    if case.equity.base is not None and case.equity.base.amount <= 0:
        return Refusal(Reason.EQUITY_UNTRUSTED, "the day's base is not positive", case.equity.base.amount, ZERO)
    return None


def max_order_notional(case: Case) -> Refusal | None:
    """`qty × price × contract ≤ max_order_notional`."""
    return _over(
        case, Reason.ORDER_NOTIONAL_TOO_LARGE, "order notional", case.order_notional, case.rules.risk.limits.max_order_notional
    )


def max_notional_per_symbol(case: Case) -> Refusal | None:
    """Exposure of the symbol with this order ≤ max_notional_per_symbol."""
    limit = case.rules.risk.limits.max_notional_per_symbol
    return _over(case, Reason.SYMBOL_NOTIONAL_TOO_LARGE, "symbol exposure", case.symbol_exposure + case.new, limit)


def max_gross_exposure(case: Case) -> Refusal | None:
    """LV-1: gross exposure with this order ≤ max_gross_exposure."""
    limit = case.rules.risk.limits.max_gross_exposure
    return _over(case, Reason.GROSS_EXPOSURE_TOO_LARGE, "gross exposure", case.gross + case.new, limit)


def max_leverage(case: Case) -> Refusal | None:
    """LV-1: gross exposure with this order ≤ max_leverage × equity, compared by multiplying."""
    limit = case.rules.risk.limits.max_leverage * case.equity.equity
    return _over(case, Reason.LEVERAGE_TOO_HIGH, "gross exposure", case.gross + case.new, limit, " (leverage × equity)")


def max_daily_loss(case: Case) -> Refusal | None:
    """DL-3: the day's loss trips at the limit itself."""
    loss, limit = case.equity.daily_loss(), case.equity.daily_loss_limit(case.rules)
    if case.opening and loss >= limit:
        return Refusal(Reason.DAILY_LOSS, _said("the day's loss", loss, case, "has reached the limit of", limit), loss, limit)
    return None


def max_drawdown(case: Case) -> Refusal | None:
    """DD-1: `(H − E) × 100 > hard_pct × H` denies entries even before the halt is recorded."""
    hard = case.rules.risk.limits.max_drawdown.hard_pct
    if case.opening and case.equity.drawdown_over(hard):
        high, fall = case.equity.high or ZERO, case.equity.fall()
        message = f"the drawdown from {plain(high)} is over {plain(hard)} %"
        return Refusal(Reason.MAX_DRAWDOWN, message, fall, case.equity.fall_limit(hard))
    return None


def max_open_orders(case: Case) -> Refusal | None:
    """Live orders of the account, this one included, ≤ max_open_orders."""
    limit = case.rules.risk.limits.max_open_orders
    if case.opening and case.open_orders + 1 > limit:
        return Refusal(
            Reason.TOO_MANY_OPEN_ORDERS,
            f"{case.open_orders} orders are open; the limit is {limit}",
            Decimal(case.open_orders + 1),
            Decimal(limit),
        )
    return None


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


def _over(case: Case, reason: Reason, what: str, value: Decimal, limit: Decimal, how: str = "") -> Refusal | None:
    if not case.opening or value <= limit:
        return None
    return Refusal(reason, _said(what, value, case, "is over the limit of", limit) + how, value, limit)


def _said(what: str, value: Decimal, case: Case, verb: str, limit: Decimal) -> str:
    """`order notional 430.01 USDT is over the limit of 400 USDT`."""
    currency = case.rules.risk.currency
    return f"{what} {plain(value.normalize())} {currency} {verb} {plain(limit.normalize())} {currency}"
