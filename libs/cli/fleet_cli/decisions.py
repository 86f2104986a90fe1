"""`supervisor decisions`: what was asked, what was answered and why; `--tail` goes on with what comes."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from fleet_cli.exits import CliError, Exit
from fleet_cli.gateway import Gateway, Json
from fleet_cli.output import AS_TABLE, Column, Row, Show, console, one_line, say, show_rows, styled, write
from fleet_cli.positions import Account

POLL_S = 0.5
_PAGE = 500
_AWAY = frozenset({Exit.UNHEALTHY, Exit.TIMEOUT})
_WIDTHS = (23, 6, 25, 6, 4, 8, 8, 22, 18)


def _order(row: Row) -> str:
    price = row.get("price") or row.get("ref_price")
    return f"{row.get('order_type') or ''}{f' @ {price}' if price else ''}".strip()


_COLUMNS = (
    Column("time (UTC)", lambda row: str(row.get("ts", ""))[:23].replace("T", " ")),
    Column("answer", lambda row: row.get("decision")),
    Column("reason"),
    Column("bot"),
    Column("side"),
    Column("qty", right=True),
    Column("symbol"),
    Column("order", _order),
    Column("order_id"),
    Column("message"),
)


def decisions(
    *,
    tail: Annotated[bool, Parameter(name=["--tail", "-f"], negative="", help="go on with what is decided later")] = False,
    limit: Annotated[
        int, Parameter(name=["--limit", "-n"], help="how many of the past", validator=Number(gte=0, lte=100_000))
    ] = 20,
    since: Annotated[
        datetime | None, Parameter(help="not before, like 2026-01-31T14:30 (UTC unless it says otherwise)")
    ] = None,
    until: Annotated[datetime | None, Parameter(help="not after this time")] = None,
    bot: Annotated[str | None, Parameter(help="only this bot's")] = None,
    decision: Annotated[Literal["ALLOW", "DENY"] | None, Parameter(help="only these")] = None,
    reason: Annotated[str | None, Parameter(help="only with this reason code")] = None,
    account: Account = "main",
    show: Show = AS_TABLE,
) -> None:
    """Decisions on orders, oldest first: the newest ones, or those of a time.

    A decision says what was asked, ALLOW or DENY, the reason, and the numbers it was judged by (-o json shows them all).
    """
    wanted = {"bot": bot, "decision": decision, "reason": reason}
    with Gateway("viewer") as gateway:
        if tail:
            _follow(gateway, account, wanted, limit, show)
            return
        times = {"since": _utc(since), "until": _utc(until)}
        rows = list(gateway.pages("/decisions", limit, account=account, **wanted, **times))
    if show.format != "table":
        show_rows(show, rows, _COLUMNS, {"account": account, "items": rows})
        return
    _print_cells([column.name for column in _COLUMNS])
    for row in rows:
        _print_line(row)
    if not rows:
        say(f"no such decision of account {account}")


def _utc(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _follow(gateway: Gateway, account: str, wanted: Json, limit: int, show: Show) -> None:
    """The last few, then everything new, until interrupted; a gateway that is away is waited for."""
    newest = gateway.get("/decisions", account=account, limit=1)["items"]
    after = newest[-1]["cursor"] if newest else "0"
    for row in gateway.pages("/decisions", limit, account=account, **wanted) if limit else ():
        _print(row, show)
    away = False
    while True:
        try:
            for row in news(gateway, account, after):
                after = row["cursor"]
                if all(value is None or row.get(name) == value for name, value in wanted.items()):
                    _print(row, show)
            away = False
        except CliError as error:
            if error.code not in _AWAY:
                raise
            if not away:
                say(f"{error}; waiting for it")
            away = True
        time.sleep(POLL_S)


def news(gateway: Gateway, account: str, after: str) -> Iterator[Json]:
    """Everything decided behind a cursor, unfiltered so that the cursor always moves on. Raises `CliError`."""
    while True:
        items: list[Json] = gateway.get("/decisions", account=account, after=after, limit=_PAGE)["items"]
        yield from items
        if len(items) < _PAGE:
            return
        after = items[-1]["cursor"]


def _print(row: Json, show: Show) -> None:
    if show.format == "table":
        _print_line(row)
    else:
        write(one_line(row))


def _print_line(row: Row) -> None:
    _print_cells([column.of(row) for column in _COLUMNS], str(row.get("decision")))


def _print_cells(cells: list[str], colour_of: str = "") -> None:
    """One line of columns of fixed width, so that lines printed one by one stand below each other."""
    columns = zip(cells, _WIDTHS, _COLUMNS, strict=False)
    padded = [cell.rjust(width) if column.right else cell.ljust(width) for cell, width, column in columns]
    text = "  ".join([*padded, *cells[len(_WIDTHS) :]]).rstrip()
    console(sys.stdout).print(styled(text, of=colour_of), soft_wrap=True)
