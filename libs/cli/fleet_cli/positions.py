"""`supervisor positions` and `supervisor reservations`: what is held, and what is allowed and not yet filled."""

from typing import Annotated

from cyclopts import Parameter

from fleet_cli.asking import Why, confirm
from fleet_cli.exits import CliError, Exit
from fleet_cli.gateway import Gateway
from fleet_cli.output import AS_TABLE, Column, Row, Show, say, show_rows

_MAX = 10_000
_POSITIONS = (
    Column("symbol"),
    Column("posted", lambda row: row.get("qty"), right=True),
    Column("reported", lambda row: row.get("reported_qty"), right=True),
    Column("price", right=True),
    Column("notional", right=True),
    Column("held", lambda row: row.get("held_notional"), right=True),
    Column("exposure", right=True),
    Column("buying", lambda row: row.get("buy_leaves"), right=True),
    Column("selling", lambda row: row.get("sell_leaves"), right=True),
    Column("drift", lambda row: _drift(row)),
)
_RESERVATIONS = (
    Column("bot"),
    Column("order_id"),
    Column("symbol"),
    Column("side"),
    Column("qty", right=True),
    Column("leaves", lambda row: row.get("leaves_qty"), right=True),
    Column("reserved", lambda row: row.get("reserved_notional"), right=True),
    Column("state"),
    Column("since"),
    Column("valid_until"),
    Column("asked", lambda row: _asked(row)),
)
Account = Annotated[str, Parameter(help="the account")]


def positions(*, account: Account = "main", show: Show = AS_TABLE) -> None:
    """What the account holds, by symbol: posted by fills, reported by the venue, and allowed and on its way (held).

    A difference that stands denies entries of its symbol until it ends or `supervisor positions reconcile` takes over what is
    reported.
    """
    _list("/positions", account, show, _POSITIONS, "holds nothing")


def reconcile(symbol: str, /, *, why: Why, account: Account = "main") -> None:
    """Take over the position of a symbol as the venue reports it: closes a drift, with a reason.

    It also lets in a position that the bot had before the fleet knew it.

    Args:
        symbol: as `supervisor positions` shows it
    """
    with Gateway("approver") as gateway:
        rows = {row["symbol"]: row for row in gateway.pages("/positions", _MAX, account=account)}
        row = rows.get(symbol)
        if row is None or row.get("reported_qty") is None:
            raise CliError(f"no position in {symbol} is reported for account {account}", Exit.NOT_FOUND)
        say(f"{symbol}: {row['qty']} by fills, {row['reported_qty']} as reported at {row['reported_at']}")
        confirm(f"Take over {row['reported_qty']} {symbol} as the position of account {account}?", why)
        body = {"reason": why.reason, "symbol": symbol, "reported_qty": row["reported_qty"]}
        answer = gateway.post("/positions/reconcile", body, account=account)
    say(f"the position of account {account} in {symbol} is {answer['qty']} now; it was {answer['previous_qty']}")


def reservations(*, account: Account = "main", show: Show = AS_TABLE) -> None:
    """Allowed orders whose exposure is held: HELD, PARTLY_POSTED, or UNKNOWN past their time (they still count)."""
    _list("/reservations", account, show, _RESERVATIONS, "has no allowed order on its way")


def _drift(row: Row) -> str:
    """Empty when both views agree; `off` when nothing is compared."""
    match row.get("drift"):
        case "OFF":
            return "off"
        case "STANDS":
            return f"{row.get('difference')} since {row.get('drift_since')}: no entries"
        case "SEEN":
            return f"{row.get('difference')}, perhaps a race"
        case _:
            return ""


def _asked(row: Row) -> str:
    """`3 times since …: FAILED: …`; empty when its bot was not asked."""
    if not row.get("times_asked"):
        return ""
    said = f": {row['bot_said']}" if row.get("bot_said") else ""
    return f"{row['times_asked']} times since {row.get('asked_since')}{said}"


def _list(path: str, account: str, show: Show, columns: tuple[Column, ...], none: str) -> None:
    with Gateway("viewer") as gateway:
        rows = list(gateway.pages(path, _MAX, account=account))
    show_rows(show, rows, columns, {"account": account, "items": rows})
    if not rows and show.format == "table":
        say(f"account {account} {none}")
