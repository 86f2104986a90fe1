"""`supervisor positions` and `supervisor reservations`: what is held, and what is allowed and not yet filled."""

from typing import Annotated

from cyclopts import Parameter

from fleet_cli.gateway import Gateway
from fleet_cli.output import AS_TABLE, Column, Row, Show, show_rows

_MAX = 10_000
_POSITIONS = (
    Column("symbol"),
    Column("qty", right=True),
    Column("price", right=True),
    Column("notional", right=True),
    Column("held", lambda row: row.get("held_notional"), right=True),
    Column("exposure", right=True),
    Column("buying", lambda row: row.get("buy_leaves"), right=True),
    Column("selling", lambda row: row.get("sell_leaves"), right=True),
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
    """What the account holds, by symbol, as the log of fills says; with what is allowed and on its way."""
    _list("/positions", account, show, _POSITIONS)


def reservations(*, account: Account = "main", show: Show = AS_TABLE) -> None:
    """Allowed orders whose exposure is held: HELD, PARTLY_POSTED, or UNKNOWN past their time (they still count)."""
    _list("/reservations", account, show, _RESERVATIONS)


def _asked(row: Row) -> str:
    """`3 times since …: FAILED: …`; empty when its bot was not asked."""
    if not row.get("times_asked"):
        return ""
    said = f": {row['bot_said']}" if row.get("bot_said") else ""
    return f"{row['times_asked']} times since {row.get('asked_since')}{said}"


def _list(path: str, account: str, show: Show, columns: tuple[Column, ...]) -> None:
    with Gateway("viewer") as gateway:
        rows = list(gateway.pages(path, _MAX, account=account))
    show_rows(show, rows, columns, {"account": account, "items": rows})
