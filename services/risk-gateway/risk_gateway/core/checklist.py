"""The checklist of a resume: what should be in order before halts are lifted. Pure; it refuses nothing, people do.

An item that is not clean may be passed over by a person who says why; the record keeps both.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal, localcontext

from fleet_contracts import Halt
from fleet_contracts.money import MONEY, plain
from risk_gateway.core.account import Account
from risk_gateway.core.drift import drifts
from risk_gateway.core.halts import DAILY_LOSS, MAX_DRAWDOWN, passed
from risk_gateway.core.rules import Rules
from risk_gateway.core.scope import open_in, whole

SHOWN_MAX = 5
_CENT = Decimal("0.01")
_SHOWN = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the list. `value` and `limit`: the numbers behind it, in the account's currency or seconds."""

    name: str
    clean: bool
    detail: str
    value: Decimal | None = None
    limit: Decimal | None = None


def checklist(account: Account, halt_ids: Collection[str], now: datetime) -> list[Item]:
    """Every item that matters when these halts are lifted, clean or not, in a fixed order.

    While another halt of the whole account stays in force, the account's money is not asked about: nothing is opened yet.
    """
    lifted = [halt for halt in account.halts if halt.halt_id in halt_ids]
    stays_halted = any(whole(halt.scope) for halt in account.halts if halt.halt_id not in halt_ids)
    rules = account.state.rules
    with localcontext(MONEY):
        items = [] if stays_halted or rules is None else list(_money(account, rules, now))
        items += [_acknowledged(account, lifted), _flat(account, lifted)]
        if rules is not None:
            items += [_known(account, rules, now), _drift(account)]
    return items


def _money(account: Account, rules: Rules, now: datetime) -> Iterator[Item]:
    equity = account.state.equity
    observed = equity.observed_at
    day = rules.day_of(now)
    if observed is None or equity.base_of(day) is None:
        missing = "no EQUITY has arrived yet" if observed is None else f"{day} has no base yet"
        yield Item("STALE_EQUITY", False, missing)
        return
    age_s = Decimal(round((now - observed).total_seconds() * 1000)) / 1000
    limit_s = Decimal(str(rules.risk.limits.stale_equity_s))
    yield Item("STALE_EQUITY", age_s <= limit_s, f"EQUITY is {age_s} s old", age_s, limit_s)
    trusted = "trusted and positive" if equity.usable() else "not trusted, or not positive"
    yield Item("EQUITY_UNTRUSTED", equity.usable(), f"the equity of {_cents(equity.equity)} is {trusted}", equity.equity)
    over = passed(equity, rules, day)
    base = equity.base_of(day)
    loss, limit = equity.daily_loss(base), equity.daily_loss_limit(rules, base)
    yield _limit(DAILY_LOSS, "the day's loss", over, loss, limit)
    yield _limit(MAX_DRAWDOWN, "the drawdown", over, equity.fall(), equity.fall_limit(rules.risk.limits.max_drawdown.hard_pct))


def _limit(name: str, what: str, over: Collection[str], value: Decimal, limit: Decimal) -> Item:
    clean = name not in over
    after = "" if clean else ": the next EQUITY halts again"
    return Item(name, clean, f"{what} is {_cents(value)} of {_cents(limit)}{after}", value, limit)


def _cents(amount: Decimal) -> str:
    """For people; the numbers beside it are exact."""
    return plain(amount.quantize(_CENT, context=_SHOWN))


def _acknowledged(account: Account, lifted: Collection[Halt]) -> Item:
    kills = account.state.kills
    silent = sorted(
        {
            f"{told.bot} ({told.command}: {told.answer or 'no answer'})"
            for halt in lifted
            if (kill := kills.get(halt.halt_id)) is not None and kill.acknowledged is None
            for told in kill.newest()
            if not told.taken
        }
    )
    unheard = [halt for halt in lifted if halt.flatten and (kills.get(halt.halt_id) is None or not kills[halt.halt_id].told)]
    if unheard:
        silent.append("commands that are not in the log yet")
    return Item("NOT_ACKNOWLEDGED", not silent, _said("not acknowledged by", silent, "every bot has answered"))


def _flat(account: Account, lifted: Collection[Halt]) -> Item:
    by_hand = account.state.manual_close_needed
    still = sorted({name for halt in lifted if halt.flatten or by_hand for name in open_in(account.state, halt.scope)})
    return Item("NOT_FLAT", not still, _said("open still:", still, "nothing is open that was to be closed"))


def _known(account: Account, rules: Rules, now: datetime) -> Item:
    unknown = [order.order_id for order in account.state.orders.values() if order.state(now, rules.grace) == "UNKNOWN"]
    return Item("UNKNOWN_ORDERS", not unknown, _said("nobody says what became of", unknown, "every order is accounted for"))


def _drift(account: Account) -> Item:
    differing = [
        f"{symbol} (by fills {plain(drift.qty)}, reported {plain(drift.reported)})"
        for symbol, drift in sorted(drifts(account.state).items())
    ]
    return Item("POSITION_DRIFT", not differing, _said("positions differ:", differing, "positions are what the venue reports"))


def _said(before: str, names: Collection[str], otherwise: str) -> str:
    if not names:
        return otherwise
    shown = ", ".join(list(names)[:SHOWN_MAX])
    return f"{before} {shown}" + (f" and {len(names) - SHOWN_MAX} more" if len(names) > SHOWN_MAX else "")


NAMES = frozenset(
    {
        "STALE_EQUITY",
        "EQUITY_UNTRUSTED",
        DAILY_LOSS,
        MAX_DRAWDOWN,
        "NOT_ACKNOWLEDGED",
        "NOT_FLAT",
        "UNKNOWN_ORDERS",
        "POSITION_DRIFT",
    }
)
"""The items a person may override."""
