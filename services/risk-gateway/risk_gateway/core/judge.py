"""One order in, one answer out: a new decision, the stored one again, or the one on its way."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from fleet_contracts import AccountClock, OrderType, Reason, TradingState
from fleet_contracts.money import ZERO, product_up, tidy
from risk_gateway.core.checks import CHECKS, OF_REDUCTIONS_TOO, PASSES
from risk_gateway.core.decision import Asked, NewDecision, Order, Refusal
from risk_gateway.core.exposure import EMPTY
from risk_gateway.core.memory import id_hash
from risk_gateway.core.orders import Claim, LiveOrder
from risk_gateway.core.overlay import Overlay
from risk_gateway.core.rules import ONE, Rules
from risk_gateway.core.standing import Standing
from risk_gateway.core.state import OrderKey, State

HUNDRED = Decimal(100)
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Repeat:
    """Decided before: fetch line `line` of message `seq`. `reason`: why a stored ALLOW may not be repeated as one."""

    seq: int
    line: int
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class InFlight:
    """The same order is on its way into the log: wait for it."""

    key: str


Judged = NewDecision | Repeat | InFlight


def judge(state: State, overlay: Overlay, asked: Asked, standing: Standing) -> Judged:
    """The answer an order already has, else a new decision. An id that was used for another order is a conflict."""
    key = asked.key
    order_hash = id_hash(*key)
    pending = overlay.of(key)
    memo = state.memory.find(order_hash)
    if not pending and memo is None:
        return decide(state, overlay, asked, standing, key, order_hash)
    content = asked.content
    for other in pending:
        if other.content == content:
            return InFlight(other.fact.key)
    if memo is not None and memo.content == int(content[:16], 16):
        return Repeat(memo.seq, memo.line, _why_not_again(state, key, asked, standing))
    conflict = state.memory.find(id_hash(*key, content))
    if conflict is not None:
        return Repeat(conflict.seq, conflict.line, None)
    return decide(state, overlay, asked, standing, key, order_hash, conflict=True)


def decide(
    state: State, overlay: Overlay, asked: Asked, standing: Standing, key: OrderKey, order_hash: int, *, conflict: bool = False
) -> NewDecision:
    """Judge an order, with every input that was used."""
    order, rules = asked.order, standing.rules
    book = state.exposure.books.get(order.symbol, EMPTY)
    older = state.orders.get((asked.bot, order.replaces)) if order.replaces else None
    if older is not None and not _is_modify(order, older):
        older = None
    replaced: Claim | None = older.counted if older is not None else None
    room = book.room_to_reduce(order.side, replaced)
    opening = order.qty if not room else order.qty - room if room < order.qty else ZERO
    price, source = worst_price(asked, rules)
    terms = rules.terms(asked.bot, order.strategy, order.symbol)
    unit = product_up(price, terms.factor) if price is not None else ZERO
    new = hold = product_up(opening, unit)
    if replaced is not None:
        new = max(ZERO, hold - replaced.notional)
    decision = NewDecision(
        asked,
        order,
        standing,
        terms,
        state.throttles,
        room,
        opening,
        price,
        source,
        unit,
        hold,
        new,
        book.exposure,
        state.exposure.gross + new,
        len(state.orders) + overlay.orders - (older is not None),
        state.by_bot.get(asked.bot, 0) - (older is not None),
        state.by_strategy.get(order.strategy or "", 0) - (older is not None and older.strategy == order.strategy),
        state.exposure.unpriced,
        None if older is None else tidy(older.filled_in_all),
        None if terms.collar_pct is None else fair_price(asked, rules),
        key,
        order_hash,
    )
    if conflict:
        decision.refusal = Refusal(Reason.IDEMPOTENCY_CONFLICT, "this order_id was used for another order")
        decision.check = "idempotency"
    else:
        ask_checks(decision)
    return decision


def ask_checks(decision: NewDecision) -> None:
    """Ask the checks; the first refusal is the verdict."""
    opens, standing = decision.opening > ZERO, decision.standing
    if standing.checks is None:
        standing.checks = tuple(check for check in CHECKS if not PASSES[check](standing))
    for check in standing.checks:
        if opens or check in OF_REDUCTIONS_TOO:
            refusal = check(decision)
            if refusal is not None:
                decision.refusal, decision.check = refusal, check.__name__
                return


def worst_price(asked: Asked, rules: Rules) -> tuple[Decimal | None, str | None]:
    """The price that counts: the largest of the order's own, its reference price and, for MARKET, the mark's worse side."""
    order = asked.order
    worst, source = order.price, "price" if order.price is not None else None
    if order.stop_price is not None and (worst is None or order.stop_price > worst):
        worst, source = order.stop_price, "stop_price"
    if order.reference_price is not None and (worst is None or order.reference_price > worst):
        worst, source = order.reference_price, "reference_price"
    if order.order_type is OrderType.MARKET and asked.mark is not None:
        mark = asked.mark
        dearest = max((price for price in (mark.ask, mark.bid, mark.mark, mark.last) if price is not None), default=None)
        if dearest is not None:
            collared = tidy(product_up(dearest, ONE + (rules.risk.limits.price_collar_pct or ZERO) / HUNDRED))
            if worst is None or collared > worst:
                worst, source = collared, "mark"
    return worst, source


def fair_price(asked: Asked, rules: Rules) -> Decimal | None:
    """CO-1: what an order's price is held against: the middle of a fresh quote, else the fresh mark. Under a virtual clock, for
    which no MARK is read, the order's own reference price.
    """
    mark = asked.mark
    if mark is not None and mark.bid is not None and mark.ask is not None:
        return (mark.bid + mark.ask) * _HALF
    if mark is not None:
        return mark.mark
    return asked.order.reference_price if rules.clock is AccountClock.EVENT else None


def _why_not_again(state: State, key: OrderKey, asked: Asked, standing: Standing) -> Reason | None:
    """Why a stored ALLOW may not be answered as ALLOW once more (DESIGN §5, Repeats)."""
    order = state.orders.get(key)
    if order is None or asked.now > order.valid_until:
        return Reason.DECISION_EXPIRED
    if order.opening <= 0:
        return None
    halt = standing.halt_of(key[0], order.symbol)
    if halt is not None or asked.shut is not None:
        return halt or asked.shut
    return Reason.REDUCE_ONLY_MODE if standing.trading_state is TradingState.REDUCING else None


def _is_modify(order: Order, older: LiveOrder) -> bool:
    """`replaces` names a live order of the same symbol and side that nothing else replaces yet."""
    return older.newer is None and older.symbol == order.symbol and older.side is order.side


def request_time(state: State, order: Order, wall: datetime) -> datetime:
    """When a request at a synchronous door is judged: its own `ts` under a virtual clock, else the account's now."""
    if state.rules is not None and state.rules.clock is AccountClock.EVENT and order.ts is not None:
        return max(order.ts, state.virtual) if state.virtual else order.ts
    return wall
