"""What one candle does to one order: pure rules of a venue that is known by its candles only.

- An order is met from the candle after the one it was sent in (latency), never by prices older than itself.
- MARKET, and a triggered STOP, take: the open (a stop: its stop price, if that is worse) plus slippage against the order.
- LIMIT takes when it is marketable on its first candle; otherwise it rests and makes at its own price: in full when the
  price goes through it, perhaps in part when the price only touches it.
- Of a candle's volume one order gets at most a share; luck splits fills further. Luck comes from the caller's generator.
"""

import random
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

from fleet_contracts import OrderType, Side
from quantumedge_sim.candles import Candle
from quantumedge_sim.instrument import BPS, Instrument

_TAKER_SHARE = Decimal("0.05")
_MAKER_SHARE = Decimal("0.02")
"""Of a candle's volume, what one order can get."""
_IMPACT = Decimal("0.10")
"""Of a candle's range, the most that taking slips."""
_TOUCH_FILLS = 0.5
_SPLITS = 0.3
"""How often a touched order is filled at all, and how often a fill comes in two parts."""
_FEE_UNIT = Decimal("0.00000001")


class Liquidity(StrEnum):
    """Which side of the book a fill was on."""

    MAKER = "maker"
    TAKER = "taker"


@dataclass(frozen=True, slots=True)
class Resting:
    """An order as the matching sees it. `fresh`: this is its first candle. `leaves` on the lot grid."""

    side: Side
    order_type: OrderType
    leaves: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill: quantity, price, which side of the book, and how much worse than the price aimed at (bps, ≥ 0)."""

    qty: Decimal
    price: Decimal
    liquidity: Liquidity
    slippage_bps: Decimal = Decimal(0)


def is_triggered(side: Side, stop_price: Decimal, candle: Candle) -> bool:
    """Whether the candle reaches a stop."""
    return candle.high >= stop_price if side is Side.BUY else candle.low <= stop_price


def meet(order: Resting, candle: Candle, instrument: Instrument, draw: random.Random) -> list[Fill]:
    """The fills a candle gives an order that is active in it; stops are to be triggered before."""
    match order.order_type:
        case OrderType.MARKET | OrderType.STOP_MARKET:
            return _take(order, _aim(order, candle), candle, instrument, draw)
        case OrderType.LIMIT | OrderType.STOP_LIMIT:
            return _limit(order, candle, instrument, draw)
        case _:
            raise TypeError(order.order_type)


def fee(fill: Fill, instrument: Instrument) -> Decimal:
    """What the venue takes for a fill, in currency, rounded up to 8 places."""
    bps = instrument.maker_bps if fill.liquidity is Liquidity.MAKER else instrument.taker_bps
    return (fill.qty * fill.price * bps * BPS).quantize(_FEE_UNIT, ROUND_CEILING)


def _limit(order: Resting, candle: Candle, instrument: Instrument, draw: random.Random) -> list[Fill]:
    assert order.price is not None
    if order.fresh and _at_least_as_good(order.side, _aim(order, candle), order.price):
        return _take(order, _aim(order, candle), candle, instrument, draw)
    through, touched = _reach(order.side, candle, order.price)
    if not through and not (touched and draw.random() < _TOUCH_FILLS):
        return []
    most = _share(candle, order.price, _MAKER_SHARE, instrument)
    if not through:
        most = instrument.lots(min(most, order.leaves) * Decimal(draw.randint(20, 90)) / 100)
    return _parts(min(order.leaves, most), order.price, Liquidity.MAKER, Decimal(0), instrument, draw)


def _take(order: Resting, aim: Decimal, candle: Candle, instrument: Instrument, draw: random.Random) -> list[Fill]:
    """Fills at `aim` plus slippage, at most one tick outside the candle, never worse than the order's own price."""
    slip = instrument.tick + (candle.high - candle.low) * _IMPACT * draw.randint(0, 100) / 100
    if order.side is Side.BUY:
        price = min(instrument.up(aim + slip), candle.high + instrument.tick)
    else:
        price = max(instrument.down(aim - slip), candle.low - instrument.tick, instrument.tick)
    price = _better(order.side, price, order.price) if order.price is not None else price
    slipped = (abs(price - aim) / aim / BPS).quantize(Decimal("0.01"))
    qty = min(order.leaves, _share(candle, price, _TAKER_SHARE, instrument))
    return _parts(qty, price, Liquidity.TAKER, slipped, instrument, draw)


def _parts(
    qty: Decimal, price: Decimal, liquidity: Liquidity, slipped: Decimal, instrument: Instrument, draw: random.Random
) -> list[Fill]:
    """One fill, or two; none of nothing."""
    if qty <= 0:
        return []
    first = qty
    if draw.random() < _SPLITS:
        first = instrument.lots(qty * Decimal(draw.randint(25, 75)) / 100) or qty
    parts = [first, qty - first] if first < qty else [qty]
    return [Fill(part, price, liquidity, slipped) for part in parts]


def _share(candle: Candle, price: Decimal, share: Decimal, instrument: Instrument) -> Decimal:
    """What an order can get of a candle's volume; a lot at least."""
    return max(instrument.lots(candle.volume * share / price), instrument.lot)


def _reach(side: Side, candle: Candle, price: Decimal) -> tuple[bool, bool]:
    """Whether the candle goes through a resting price, and whether it touches it."""
    if side is Side.BUY:
        return candle.low < price, candle.low == price
    return candle.high > price, candle.high == price


def _at_least_as_good(side: Side, price: Decimal, limit: Decimal) -> bool:
    return price <= limit if side is Side.BUY else price >= limit


def _aim(order: Resting, candle: Candle) -> Decimal:
    """The price taking aims at: the open, or a stop price that lies beyond it."""
    return candle.open if order.stop_price is None else _worse(order.side, candle.open, order.stop_price)


def _better(side: Side, one: Decimal, other: Decimal) -> Decimal:
    return min(one, other) if side is Side.BUY else max(one, other)


def _worse(side: Side, one: Decimal, other: Decimal) -> Decimal:
    return max(one, other) if side is Side.BUY else min(one, other)
