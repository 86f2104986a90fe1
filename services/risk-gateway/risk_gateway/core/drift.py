"""Position drift: what the fills say against what the venue shows, by symbol (R11; docs/decisions/0017).

EQUITY and fills race each other, so a difference is only *seen* in a report that is newer than the symbol's last fill, and
only *stands* when a report that arrives at least two seconds later still differs. It ends with a report that agrees, or when
a person takes over what is reported. Quantities are signed, in the symbol's unit.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from fleet_contracts import AccountClock, Equity
from fleet_contracts.money import ZERO
from risk_gateway.core.state import State, Watched

STANDS = timedelta(seconds=2)


class Drift(NamedTuple):
    """A difference that stands."""

    qty: Decimal
    """By fills."""
    reported: Decimal
    since: datetime


NONE: Mapping[str, Drift] = {}


def fold_positions(state: State, event: Equity, observed_at: datetime, at: datetime) -> None:
    """Fold the positions of an EQUITY of the account's source, at fold time `at`. It shows the whole account, so a symbol
    that it does not name is flat.

    One without a list of positions says nothing of them.
    """
    if event.positions is None:
        return
    reported: dict[str, Decimal] = {}
    prices: dict[str, Decimal | None] = {}
    for position in event.positions:
        reported[position.symbol] = reported.get(position.symbol, ZERO) + position.qty
        prices[position.symbol] = position.mark_price or position.avg_price or None
    held = [symbol for symbol, book in state.exposure.books.items() if book.position]
    for symbol in dict.fromkeys((*reported, *state.watched, *held)):
        watched = state.watched.setdefault(symbol, Watched())
        watched.reported, watched.price = reported.get(symbol, ZERO), prices.get(symbol)
        watched.observed_at, watched.event = observed_at, str(event.event_id)
        if is_newer(state, watched):
            _compare(state, symbol, watched, at)


def moved(state: State, symbol: str, at: datetime) -> None:
    """A fill was posted at fold time `at`. When it is the one that a report was ahead of, the difference was none."""
    watched = state.watched.setdefault(symbol, Watched())
    watched.moved_at = at
    if watched.stands_since is None and watched.differs_since is not None and not _differs(state, symbol, watched):
        watched.differs_since = None


def drifts(state: State) -> Mapping[str, Drift]:
    """What blocks entries: differences that stand, when the limits set a bound for them."""
    if state.rules is None or state.rules.risk.limits.position_drift_qty is None:
        return NONE
    return {
        symbol: Drift(state.exposure.book(symbol).position, watched.reported or ZERO, watched.stands_since)
        for symbol, watched in state.watched.items()
        if watched.stands_since is not None
    }


def _compare(state: State, symbol: str, watched: Watched, at: datetime) -> None:
    if not _differs(state, symbol, watched):
        if not watched.reported and not state.exposure.book(symbol).position:
            del state.watched[symbol]  # flat, and known to be
            return
        watched.differs_since = watched.stands_since = None
        watched.told = False
        return
    if watched.differs_since is None:
        watched.differs_since = at
    if watched.stands_since is None and (at >= watched.differs_since + STANDS or _cannot_race(state, symbol, watched)):
        watched.stands_since = watched.differs_since


def _differs(state: State, symbol: str, watched: Watched) -> bool:
    """|reported − by fills| > position_drift_qty; any difference while that is off."""
    bound = state.rules.risk.limits.position_drift_qty if state.rules is not None else None
    return abs((watched.reported or ZERO) - state.exposure.book(symbol).position) > (bound or ZERO)


def is_newer(state: State, watched: Watched) -> bool:
    """Whether the report was made after the symbol's last fill had arrived. In virtual time nothing overtakes anything."""
    if watched.moved_at is None or watched.observed_at is None:
        return True
    if state.rules is not None and state.rules.clock is AccountClock.EVENT:
        return watched.observed_at >= watched.moved_at
    return watched.observed_at > watched.moved_at


def _cannot_race(state: State, symbol: str, watched: Watched) -> bool:
    """Nobody has ever traded the symbol here, so no fill can be on its way: the bot had the position before."""
    return (
        watched.moved_at is None
        and not any(order.symbol == symbol for order in state.orders.values())
        and not any(placed.symbol == symbol for placed in state.closed.values())
    )
