"""What an account looks like to a person: positions, reservations, how it stands. Pure; numbers as they stand."""

import json
from datetime import datetime
from decimal import ROUND_DOWN, Context, Decimal, localcontext
from typing import Any

from fleet_contracts import Halt
from fleet_contracts.encode import encode_part
from fleet_contracts.envelope import format_ts
from fleet_contracts.money import MONEY, ZERO, plain, ratio
from risk_gateway.core.account import Account
from risk_gateway.core.closing import OPEN_SHOWN_MAX
from risk_gateway.core.drift import drifts
from risk_gateway.core.exposure import SymbolBook
from risk_gateway.core.kill import Stage
from risk_gateway.core.orders import LiveOrder
from risk_gateway.core.scope import open_in
from risk_gateway.core.state import Watched

Row = dict[str, Any]


def positions(account: Account) -> list[Row]:
    """One row a symbol that is held, on its way, or reported. Quantities in the symbol's unit, amounts in the account's
    currency. `qty`: by fills; `reported_qty`: by the newest EQUITY; `drift`: OFF, NONE, SEEN (perhaps a race), STANDS.
    """
    state = account.state
    with localcontext(MONEY):
        return [
            _position(account, symbol)
            for symbol in sorted({*state.exposure.books, *state.watched})
            if symbol in state.watched or _is_open(state.exposure.book(symbol))
        ]


def _is_open(book: SymbolBook) -> bool:
    return bool(book.position or book.buy.leaves or book.sell.leaves)


def _position(account: Account, symbol: str) -> Row:
    book, watched = account.state.exposure.book(symbol), account.state.watched.get(symbol, _UNWATCHED)
    return {
        "symbol": symbol,
        "qty": text(book.position),
        "price": None if book.price is None else text(book.price),
        "notional": text(book.exposure - book.buy.notional - book.sell.notional),
        "held_notional": text(book.buy.notional + book.sell.notional),
        "exposure": text(book.exposure),
        "buy_leaves": text(book.buy.leaves),
        "sell_leaves": text(book.sell.leaves),
        "reported_qty": None if watched.reported is None else text(watched.reported),
        "reported_at": None if watched.observed_at is None else format_ts(watched.observed_at),
        "difference": None if watched.reported is None else text(watched.reported - book.position),
        "drift": _drift(account, watched),
        "drift_since": None if watched.stands_since is None else format_ts(watched.stands_since),
    }


def _drift(account: Account, watched: Watched) -> str:
    rules = account.state.rules
    if rules is None or rules.risk.limits.position_drift_qty is None:
        return "OFF"
    if watched.stands_since is not None:
        return "STANDS"
    return "NONE" if watched.differs_since is None else "SEEN"


def coverage(account: Account) -> Row:
    """The fills of the newest day with any: how many, and how many of them belong to orders the gateway had allowed."""
    known = account.state.coverage
    return {
        "day": known.day or None,
        "observed_fills": known.observed,
        "gated_fills": known.gated,
        "ungated_fills": known.ungated,
        "pct": text(known.pct.quantize(_TENTH, rounding=ROUND_DOWN, context=_SHOWN)),
    }


def reservations(account: Account, now: datetime) -> list[Row]:
    """One row a live order. `state`: HELD, PARTLY_POSTED, or UNKNOWN past its time without a word; then when it was first
    asked about, how often, and what the bot said beside its reports.
    """
    rules = account.state.rules
    if rules is None:
        return []
    with localcontext(MONEY):
        return [
            _asked(account, order)
            | {
                "bot": order.bot,
                "order_id": order.order_id,
                "symbol": order.symbol,
                "side": order.side,
                "qty": text(order.qty),
                "leaves_qty": text(order.leaves),
                "opening_qty": text(order.claim.qty),
                "reserved_notional": text(order.counted.notional),
                "state": order.state(now, rules.grace),
                "since": format_ts(order.since),
                "valid_until": format_ts(order.valid_until),
                "replaces": order.replaces,
            }
            for order in account.state.orders.values()
        ]


def _asked(account: Account, order: LiveOrder) -> Row:
    asked = account.state.inquiries.get((order.bot, order.order_id))
    if asked is None:
        return {"asked_since": None, "times_asked": 0, "bot_said": None}
    return {"asked_since": format_ts(asked.since), "times_asked": asked.times, "bot_said": asked.answer or None}


def standing(account: Account) -> Row:
    """The account's state in one row."""
    state = account.state
    equity = state.equity
    with localcontext(MONEY):
        return {
            "account": account.account,
            "trading_state": account.trading_state,
            "halts": [halt_row(halt, account) for halt in account.halts],
            "manual_close_needed": state.manual_close_needed,
            "limits_revision": state.rules.revision if state.rules else 0,
            "currency": state.rules.risk.currency if state.rules else None,
            "equity": text(equity.equity) if equity.event else None,
            "trusted": equity.trusted,
            "equity_at": format_ts(equity.observed_at) if equity.observed_at else None,
            "day": equity.base.day if equity.base else None,
            "e0": text(equity.base.amount) if equity.base else None,
            "daily_loss": text(equity.daily_loss()),
            "daily_loss_marked": text(equity.marked_loss()),
            "daily_loss_realized": text(equity.realized_loss()),
            "daily_loss_limit": text(equity.daily_loss_limit(state.rules)) if state.rules and equity.base else None,
            "high_water_mark": text(equity.high) if equity.high is not None else None,
            "drawdown": text(ratio(equity.fall(), equity.high or ZERO)),
            "gross_exposure": text(state.exposure.gross),
            "leverage": text(ratio(state.exposure.gross, equity.equity)) if equity.equity > 0 else None,
            "open_orders": account.open_orders,
            "ungated_fills": state.ungated_fills,
            "unplaced_fills": state.unplaced_fills,
            "unpriced_symbols": sorted(state.exposure.unpriced),
            "overfills": state.overfills,
            "coverage": coverage(account),
            "drifting_symbols": sorted(drifts(state)),
            "unknown_orders_asked": len(state.inquiries),
            "decisions": dict(state.decided),
        }


def halt_row(halt: Halt, account: Account) -> Row:
    """A halt, whether the log has it, and of one that closes: how far it has come, and by what that is known."""
    row: Row = json.loads(encode_part(halt)) | {"recorded": halt.halt_id in account.state.halts}
    kill = account.state.kills.get(halt.halt_id)
    if kill is None:
        return row | ({"stage": Stage.REQUESTED} if halt.flatten else {})
    return row | {
        "stage": kill.stage,
        "stages": {
            name: None if seen is None else {"at": format_ts(seen.at), "evidence": seen.evidence}
            for name, seen in (
                ("requested", kill.requested),
                ("delivered", kill.delivered),
                ("acknowledged", kill.acknowledged),
                ("flat", kill.flat),
            )
        },
        "missed": [
            {"stage": stage, "at": format_ts(seen.at), "evidence": seen.evidence} for stage, seen in kill.missed.items()
        ],
        "answers": [
            {
                "bot": told.bot,
                "command": told.command,
                "attempt": told.attempt,
                "state": told.answer or None,
                "detail": told.detail or None,
                "at": None if told.answered_at is None else format_ts(told.answered_at),
            }
            for told in kill.told.values()
        ],
        "open": open_in(account.state, halt.scope)[:OPEN_SHOWN_MAX],
    }


def text(amount: Decimal) -> str:
    """An amount as people and programs read it: digits, no trailing zeros."""
    return plain(amount.normalize(_SHOWN))


_TENTH = Decimal("0.1")
_UNWATCHED = Watched()
_SHOWN = Context(prec=60)
