"""Taking over a position as the venue reports it: the fact that answers an operator's command, and its fold."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from fleet_contracts import Fact
from fleet_contracts.envelope import format_ts
from fleet_contracts.money import exactly, plain, tidy
from risk_gateway.core.drift import is_newer
from risk_gateway.core.halts import in_force
from risk_gateway.core.owed import state_fact
from risk_gateway.core.state import State, Watched


class NotReconcilable(Exception):
    """The position cannot be taken over as reported: `code` for programs, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@exactly
def reconcile_fact(state: State, account: str, symbol: str, qty: Decimal, cause: str, now: datetime) -> Fact:
    """RISK_STATE that takes over a symbol's position as reported, in answer to the command `cause`. `qty`: the reported
    quantity a person has approved. Call it while no RISK_STATE is on its way. Raises `NotReconcilable`.

    The fold then moves the position by the difference: a fill that is folded meanwhile stays counted.
    """
    watched = _settled(state, symbol, qty, now)
    fields = {
        "symbol": symbol,
        "qty": plain(tidy(qty)),
        "previous_qty": plain(tidy(state.exposure.book(symbol).position)),
        "price": None if watched.price is None else plain(watched.price),
        "equity_event": watched.event,
    }
    return state_fact(state, account, now, in_force(state, {}), cause, {"reconciled": fields})


def fold_reconciliation(state: State, fields: Mapping[str, Any] | None, at: datetime) -> None:
    """A person has taken over a position as reported, if they have."""
    if fields is None:
        return
    symbol, price = str(fields["symbol"]), fields["price"]
    change = Decimal(fields["qty"]) - Decimal(fields["previous_qty"])
    state.exposure.adjust(symbol, change, None if price is None else Decimal(price))
    watched = state.watched.setdefault(symbol, Watched())
    watched.moved_at, watched.differs_since, watched.stands_since, watched.told = at, None, None, False


def _settled(state: State, symbol: str, qty: Decimal, now: datetime) -> Watched:
    """The report of a difference that a person may settle."""
    watched, rules = state.watched.get(symbol), state.rules
    if watched is None or watched.observed_at is None or watched.reported is None or rules is None:
        raise NotReconcilable("NOT_REPORTED", f"no EQUITY has reported a position in {symbol}")
    if watched.reported != qty:
        raise NotReconcilable("CHANGED", f"{symbol} is reported as {plain(watched.reported)} by now; look again")
    if watched.stands_since is None:
        raise NotReconcilable("NO_DRIFT", f"no difference stands in {symbol}: wait for the next reports, or there is none")
    if not is_newer(state, watched):
        raise NotReconcilable("NOT_SETTLED", f"{symbol} was filled after it was reported; wait for the next EQUITY")
    if now > watched.observed_at + rules.stale_equity:
        raise NotReconcilable("STALE_EQUITY", f"{symbol} was last reported at {format_ts(watched.observed_at)}")
    return watched
