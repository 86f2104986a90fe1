"""What an account looks like to a person: positions, reservations, how it stands. Pure; numbers as they stand."""

import json
from datetime import datetime
from decimal import Context, Decimal, localcontext
from typing import Any

from fleet_contracts import Halt
from fleet_contracts.encode import encode_part
from fleet_contracts.envelope import format_ts
from fleet_contracts.money import MONEY, ZERO, plain, ratio
from risk_gateway.core.account import Account
from risk_gateway.core.closing import OPEN_SHOWN_MAX
from risk_gateway.core.kill import Stage
from risk_gateway.core.orders import LiveOrder
from risk_gateway.core.scope import open_in

Row = dict[str, Any]


def positions(account: Account) -> list[Row]:
    """One row a symbol that is held or on its way. Quantities in the symbol's unit, amounts in the account's currency."""
    with localcontext(MONEY):
        return [
            {
                "symbol": symbol,
                "qty": _text(book.position),
                "price": None if book.price is None else _text(book.price),
                "notional": _text(book.exposure - book.buy.notional - book.sell.notional),
                "held_notional": _text(book.buy.notional + book.sell.notional),
                "exposure": _text(book.exposure),
                "buy_leaves": _text(book.buy.leaves),
                "sell_leaves": _text(book.sell.leaves),
            }
            for symbol, book in account.state.exposure.books.items()
            if book.position or book.buy.leaves or book.sell.leaves
        ]


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
                "qty": _text(order.qty),
                "leaves_qty": _text(order.leaves),
                "opening_qty": _text(order.claim.qty),
                "reserved_notional": _text(order.counted.notional),
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
            "equity": _text(equity.equity) if equity.event else None,
            "trusted": equity.trusted,
            "equity_at": format_ts(equity.observed_at) if equity.observed_at else None,
            "day": equity.base.day if equity.base else None,
            "e0": _text(equity.base.amount) if equity.base else None,
            "daily_loss": _text(equity.daily_loss()),
            "daily_loss_limit": _text(equity.daily_loss_limit(state.rules)) if state.rules and equity.base else None,
            "high_water_mark": _text(equity.high) if equity.high is not None else None,
            "drawdown": _text(ratio(equity.fall(), equity.high or ZERO)),
            "gross_exposure": _text(state.exposure.gross),
            "leverage": _text(ratio(state.exposure.gross, equity.equity)) if equity.equity > 0 else None,
            "open_orders": account.open_orders,
            "ungated_fills": state.ungated_fills,
            "unplaced_fills": state.unplaced_fills,
            "unpriced_symbols": sorted(state.exposure.unpriced),
            "overfills": state.overfills,
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


def _text(amount: Decimal) -> str:
    return plain(amount.normalize(_SHOWN))


_SHOWN = Context(prec=60)
