"""One order in, one answer out: a new decision, the stored one again, or the one on its way."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from fleet_contracts import (
    AccountClock,
    Decision,
    Fact,
    Mark,
    OrderDecision,
    OrderRequest,
    OrderType,
    Reason,
    Side,
    TradingState,
    derived_id,
    encode,
)
from fleet_contracts.money import ZERO, product_up, reportable, tidy
from risk_gateway.core.checks import CHECKS, Case, Refusal
from risk_gateway.core.memory import id_hash
from risk_gateway.core.orders import LiveOrder
from risk_gateway.core.overlay import Overlay
from risk_gateway.core.rules import Rules
from risk_gateway.core.state import SERVICE, State

ONE = Decimal(1)
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class NewDecision:
    """A decision that has to be stored before it is answered."""

    fact: Fact


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


@dataclass(frozen=True, slots=True)
class Asked:
    """An order with who asks, at which door, because of which event, and when."""

    order: OrderRequest
    bot: str
    door: str
    now: datetime
    cause: str | None = None
    mark: Mark | None = None
    expired: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """The account's standing when the order is judged: its rules, the halt in force, its trading state."""

    rules: Rules
    halt: Reason | None
    trading_state: TradingState


def known(state: State, overlay: Overlay, asked: Asked, content: str, standing: Standing) -> Judged | None:
    """The answer an order already has; None when it has to be judged. A conflict is judged (and denied)."""
    key = (asked.bot, asked.order.order_id)
    for pending in overlay.of(key):
        if pending.content == content:
            return InFlight(pending.fact.key)
    memo = state.memory.find(id_hash(*key))
    if memo is not None and memo.content == int(content[:16], 16):
        return Repeat(memo.seq, memo.line, _why_not_again(state, key, asked.now, standing))
    conflict = state.memory.find(id_hash(*key, content))
    return Repeat(conflict.seq, conflict.line, None) if conflict is not None else None


def is_conflict(state: State, overlay: Overlay, asked: Asked) -> bool:
    """The id was decided, or is on its way, with other content (call after `known`)."""
    key = (asked.bot, asked.order.order_id)
    return bool(overlay.of(key)) or state.memory.find(id_hash(*key)) is not None


def decide(state: State, asked: Asked, content: str, standing: Standing, open_orders: int, conflict: bool) -> Fact:
    """Judge an order and write the decision with every input that was used."""
    order, rules = asked.order, standing.rules
    book = state.exposure.book(order.symbol)
    older = state.orders.get((asked.bot, order.replaces)) if order.replaces else None
    replaced = older.counted if older is not None and _is_modify(order, older) else None
    room = book.room_to_reduce(Side(order.side), replaced)
    opening = max(ZERO, order.qty - room)
    price, source = worst_price(asked, rules)
    contract = rules.contract(order.symbol)
    unit = product_up(price, contract, rules.fee) if price is not None else ZERO
    new = product_up(opening, unit)
    if replaced is not None:
        new = max(ZERO, new - replaced.notional)
    case = Case(
        order=order,
        rules=rules,
        equity=state.equity,
        day=rules.day_of(asked.now),
        equity_age_s=_age_s(state, asked.now),
        halt=standing.halt,
        trading_state=standing.trading_state,
        room=room,
        opening=opening,
        price=price,
        order_notional=product_up(order.qty, price, contract) if price is not None else ZERO,
        new=new,
        symbol_exposure=book.exposure,
        gross=state.exposure.gross,
        open_orders=open_orders - (replaced is not None),
        unpriced=state.exposure.unpriced,
        expired=asked.expired,
    )
    refusal, check = _first_refusal(case, conflict)
    numbers: dict[str, Any] = {
        "opening_qty": opening,
        "hold_price": price,
        "hold_unit": tidy(unit),
        "reserved_notional": tidy(product_up(opening, unit)) if refusal is None else ZERO,
        "ref_price": price,
        "ref_price_source": source,
        "replaced_filled": None if older is None or replaced is None else tidy(older.filled_in_all),
    }
    return _fact(state, asked, content, standing, refusal, check, numbers)


def _first_refusal(case: Case, conflict: bool) -> tuple[Refusal | None, str | None]:
    if conflict:
        return Refusal(Reason.IDEMPOTENCY_CONFLICT, "this order_id was used for another order"), "idempotency"
    for check in CHECKS:
        refusal = check(case)
        if refusal is not None:
            return refusal, check.__name__
    return None, None


def worst_price(asked: Asked, rules: Rules) -> tuple[Decimal | None, str | None]:
    """The price that counts: the largest of the order's own, its reference price and, for MARKET, the mark's worse side."""
    order = asked.order
    candidates = [(order.price, "price"), (order.stop_price, "stop_price"), (order.reference_price, "reference_price")]
    if order.order_type is OrderType.MARKET and asked.mark is not None:
        mark = asked.mark
        dearest = max((price for price in (mark.ask, mark.bid, mark.mark, mark.last) if price is not None), default=None)
        if dearest is not None:
            collar = ONE + (rules.risk.limits.price_collar_pct or ZERO) / HUNDRED
            candidates.append((tidy(product_up(dearest, collar)), "mark"))
    usable = [(price, source) for price, source in candidates if price is not None]
    return max(usable, key=lambda pair: pair[0]) if usable else (None, None)


def _fact(
    state: State,
    asked: Asked,
    content: str,
    standing: Standing,
    refusal: Refusal | None,
    check: str | None,
    numbers: dict[str, Any],
) -> Fact:
    order = asked.order
    reason = refusal.reason if refusal else Reason.OK
    conflict = reason is Reason.IDEMPOTENCY_CONFLICT
    fields = {
        **order.__dict__,
        **(order.model_extra or {}),
        "event_type": "ORDER_DECISION",
        "schema_version": 1,
        "source": SERVICE,
        "ts": asked.now,
        "event_id": derived_id(order.account, asked.bot, order.order_id, "ORDER_DECISION", content if conflict else ""),
        "cause": asked.cause or order.order_id,
        "bot": asked.bot,
        "door": asked.door,
        "decision": Decision.DENY if refusal else Decision.ALLOW,
        "reason": reason,
        "message": refusal.message if refusal else None,
        "check": check,
        "value": reportable(refusal.value) if refusal else None,
        "limit": reportable(refusal.limit) if refusal else None,
        "allowed_qty": ZERO if refusal else order.qty,
        "valid_until": asked.now + standing.rules.valid,
        "trading_state": standing.trading_state,
        "size_factor": ONE,
        "equity_event": state.equity.event or None,
        "limits_revision": standing.rules.revision,
        "content_hash": content,
        "duplicate": False,
        **numbers,
    }
    for name in _NOT_COPIED:
        del fields[name]
    event = OrderDecision.model_construct(**fields)
    return Fact(event, encode(event), fields["event_id"])


_NOT_COPIED = ("deadline_ms", "after_seq")
"""What a request says to its door only."""


def _why_not_again(state: State, key: tuple[str, str], now: datetime, standing: Standing) -> Reason | None:
    """Why a stored ALLOW may not be answered as ALLOW once more (DESIGN §5, Repeats)."""
    order = state.orders.get(key)
    if order is None or now > order.valid_until:
        return Reason.DECISION_EXPIRED
    if order.opening <= 0:
        return None
    if standing.halt is not None:
        return standing.halt
    return Reason.REDUCE_ONLY_MODE if standing.trading_state is TradingState.REDUCING else None


def _is_modify(order: OrderRequest, older: LiveOrder) -> bool:
    """`replaces` names a live order of the same symbol and side that nothing else replaces yet."""
    return older.newer is None and older.symbol == order.symbol and older.side is order.side


def _age_s(state: State, now: datetime) -> float | None:
    observed = state.equity.observed_at
    return None if observed is None else max(timedelta(0), now - observed).total_seconds()


def request_time(state: State, order: OrderRequest, wall: datetime) -> datetime:
    """When a request at a synchronous door is judged: its own `ts` under a virtual clock, else the account's now."""
    if state.rules is not None and state.rules.clock is AccountClock.EVENT and order.ts is not None:
        return max(order.ts, state.virtual) if state.virtual else order.ts
    return wall
