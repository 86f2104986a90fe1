"""`supervisor limits shadow`: what the candidate set of risk.shadow.yaml would have answered otherwise."""

from collections.abc import Iterator, Mapping
from typing import Any

from fleet_cli.gateway import Gateway
from fleet_cli.output import AS_TABLE, Column, Row, Show, say, show_document, show_table
from fleet_cli.positions import Account

_COLUMNS = (
    Column("time (UTC)", lambda row: row["ts"].replace("T", " ").rstrip("Z")[:23]),
    Column("live", lambda row: row["live"]["decision"]),
    Column("shadow", lambda row: row["shadow"]["decision"]),
    Column("reason", lambda row: _why(row)["reason"]),
    Column("bot"),
    Column("side"),
    Column("qty", right=True),
    Column("symbol"),
    Column("order", lambda row: row["order_id"]),
    Column("message", lambda row: _why(row)["message"]),
)


def shadow(*, account: Account = "main", show: Show = AS_TABLE) -> None:
    """How many orders the candidate would have denied or allowed otherwise, why, and the newest of them."""
    with Gateway("viewer") as gateway:
        view = gateway.get("/limits/shadow", account=account)
    if show.format != "table":
        show_document(show, view)
        return
    if not view["active"]:
        reason = view.get("error") or f"put a candidate into {view['file']} beside risk.yaml"
        say(f"no shadow limits for account {account}: {reason}")
        return
    show_table(view["examples"], _COLUMNS)
    for line in _summary(view):
        say(line)


def _summary(view: Mapping[str, Any]) -> Iterator[str]:
    yield f"{view['judged']} orders judged since {view['since']}" + (f", {view['skipped']} skipped" if view["skipped"] else "")
    for name, said in (("would_deny", "would have been denied"), ("would_allow", "would have been allowed")):
        found = view[name]
        reasons = ", ".join(f"{reason} {count}" for reason, count in found["reasons"].items())
        yield f"{found['orders']} {said}" + (f": {reasons}" if reasons else "")


def _why(row: Row) -> Mapping[str, Any]:
    """The refusal that only one of the two sets gave."""
    refusal: Mapping[str, Any] = row["shadow"] if row["shadow"]["decision"] == "DENY" else row["live"]
    return refusal
