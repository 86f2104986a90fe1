"""What becomes of reservations in the fold: made by an ALLOW, moved by modifies, posted by fills, released by knowledge."""

from datetime import datetime
from decimal import Decimal

from fleet_contracts import Entry, LocalVerdict, OrderEvent, OrderStatus, Side
from fleet_contracts.money import ZERO
from risk_gateway.core.drift import moved
from risk_gateway.core.memory import id_hash
from risk_gateway.core.orders import LiveOrder
from risk_gateway.core.state import CLOSED_MAX, UNLISTED_MAX, OrderKey, Placed, State

_CONFIRMS = (OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED)
"""What the venue says of a modify it has accepted."""
_TERMINAL = (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED)


def hold(state: State, order: LiveOrder) -> None:
    """Count an order in the sums; one that replaces a live order counts for both."""
    older = state.orders.get((order.bot, order.replaces)) if order.replaces else None
    if older is not None and older.newer is None and (older.symbol, older.side) == (order.symbol, order.side):
        order.older, older.newer = older, order
        state.exposure.recount(older)
    state.exposure.recount(order)
    count(state, order, 1)


def count(state: State, order: LiveOrder, change: int) -> None:
    """One live order more or less of its bot and of its strategy."""
    by_bot, by_strategy, bot, strategy = state.by_bot, state.by_strategy, order.bot, order.strategy or ""
    left = by_bot[bot] = by_bot.get(bot, 0) + change
    if not left:
        del by_bot[bot]
    left = by_strategy[strategy] = by_strategy.get(strategy, 0) + change
    if not left:
        del by_strategy[strategy]


def catch_up(state: State, order: LiveOrder, known: Decimal | None) -> None:
    """Before a modify is counted: what has filled of the order it replaces since it was decided (`known` had filled then) is
    filled of the modify too. Otherwise the same quantity would be posted and held at once.
    """
    if order.replaces is None or known is None:
        return
    key = (order.bot, order.replaces)
    older, gone = state.orders.get(key), state.closed.get(key)
    filled = older.filled_in_all if older is not None else gone.filled if gone is not None else ZERO
    order.leaves = max(ZERO, order.leaves - max(ZERO, filled - known))


def release(state: State, order: LiveOrder) -> None:
    """Take an order out of the sums; its predecessor or successor then counts by itself."""
    state.exposure.remove(order)
    count(state, order, -1)
    if order.newer is not None:
        order.newer.older = order.older
        if order.older is not None:
            order.older.newer = order.newer
        state.exposure.recount(order.newer)
    elif order.older is not None:
        order.older.newer = None
        state.exposure.recount(order.older)
    order.older = order.newer = None


def fold_order_event(state: State, event: OrderEvent, entry: Entry, at: datetime) -> None:
    """Fold one report of a bot, at fold time `at`."""
    key: OrderKey = (entry.address.source, event.order_id)
    order = state.orders.get(key)
    filled = _fill(state, event, key, order, at)
    if order is None:
        return
    order.working = True
    if not order.closing:
        state.inquiries.pop(key, None)
    if order.older is not None and event.status in _CONFIRMS:
        _supersede(order.older)
        state.exposure.recount(_newest(order))
    if event.status in (OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED) and not filled:
        return
    if event.status in _TERMINAL:
        _close(order, event)
    if order.newer is not None:
        state.exposure.recount(_newest(order))
    if order.leaves > 0:
        state.exposure.recount(order)
        return
    release(state, order)
    del state.orders[key]
    state.inquiries.pop(key, None)
    place(state, key, Placed(order.symbol, order.side, order.filled_in_all))
    state.memory.touch(id_hash(*key), at.timestamp())


def fold_local_verdict(state: State, event: LocalVerdict, entry: Entry) -> None:
    """What a bot answered by itself: its fills post positions and hold nothing."""
    key: OrderKey = (entry.address.source, event.order_id)
    if key not in state.orders and key not in state.closed:
        place(state, key, Placed(event.symbol, Side(event.side), ZERO, gated=False))


def place(state: State, key: OrderKey, placed: Placed) -> None:
    """Remember where the fills of an order go that holds nothing; the oldest are forgotten."""
    state.closed[key] = placed
    while len(state.closed) > CLOSED_MAX:
        del state.closed[next(iter(state.closed))]


def _newest(order: LiveOrder) -> LiveOrder:
    """The end of a chain of modifies: the one that counts for all of them."""
    while order.newer is not None:
        order = order.newer
    return order


def _supersede(order: LiveOrder | None) -> None:
    """The venue has confirmed a modify of it: then it has replaced all that were before it in the chain too."""
    while order is not None:
        order.superseded = True
        order = order.older


def _close(order: LiveOrder, event: OrderEvent) -> None:
    """The venue is done with it: what it filled and we have not seen yet still counts, the rest is released."""
    order.closing = True
    told = event.filled_qty
    if told is None:
        told = order.qty if event.status is OrderStatus.FILLED else ZERO
    unseen = told - order.filled
    order.leaves = min(order.leaves, max(ZERO, unseen))


def _fill(state: State, event: OrderEvent, key: OrderKey, order: LiveOrder | None, at: datetime) -> bool:
    """Post the event's fill once: the position first, then the leaves. True when it was new.

    A modify is one order at the venue: what fills of the replaced one is filled of its successor too.
    """
    if not event.last_qty:
        return False
    where: LiveOrder | Placed | None = order or state.closed.get(key)
    symbol, side = (where.symbol, where.side) if where else (event.symbol, event.side)
    fill_key = id_hash(*key, event.fill_id or f"event {event.event_id}")
    if fill_key in state.fills:
        return False
    if symbol is None or side is None or not _has_place(state, symbol):
        _note_unplaced(state, fill_key, at)
        return False
    state.fills.add(fill_key, at.timestamp())
    hold_price = order.price if order else None
    state.exposure.fill(symbol, Side(side), event.last_qty, event.last_price, hold_price)
    _share(state, (key[0], symbol), event.last_qty if side == Side.BUY else -event.last_qty)
    moved(state, symbol, at)
    _cover(state, at, gated=order is not None or (isinstance(where, Placed) and where.gated))
    if order is None:
        if isinstance(where, Placed):
            state.closed[key] = where._replace(filled=where.filled + event.last_qty)
        return True
    if event.last_qty > order.leaves:
        state.overfills += 1
    order.filled += event.last_qty
    _spend(order, event.last_qty)
    return True


def _has_place(state: State, symbol: str) -> bool:
    """Symbols are a bot's own words: of those that are not on the list so many are known, and no more."""
    books = state.exposure.books
    listed = len(state.rules.risk.symbols) if state.rules is not None else 0
    return symbol in books or len(books) < listed + UNLISTED_MAX


def _share(state: State, key: OrderKey, qty: Decimal) -> None:
    """A bot's own part of a position."""
    share = state.shares.pop(key, ZERO) + qty
    if share:
        state.shares[key] = share


def _cover(state: State, at: datetime, *, gated: bool) -> None:
    """Count a fill of an order that the gateway had allowed, or of one that it had not."""
    if gated:
        state.gated_fills += 1
    else:
        state.ungated_fills += 1
    state.coverage.count(state.rules.day_of(at) if state.rules is not None else "", gated=gated)


def _note_unplaced(state: State, fill_key: int, at: datetime) -> None:
    """Count an incident once; the fill itself is not used up, for it may come again and say where it belongs."""
    seen = id_hash("unplaced", str(fill_key))
    if seen not in state.fills:
        state.fills.add(seen, at.timestamp())
        state.unplaced_fills += 1
        state.coverage.count(state.rules.day_of(at) if state.rules is not None else "", gated=False)


def _spend(order: LiveOrder, qty: Decimal) -> None:
    """A fill uses up what the order, and every modify of it, may still do."""
    order.leaves = max(ZERO, order.leaves - qty)
    newer = order.newer
    while newer is not None:
        newer.leaves = max(ZERO, newer.leaves - qty)
        newer.inherited += qty
        newer = newer.newer
