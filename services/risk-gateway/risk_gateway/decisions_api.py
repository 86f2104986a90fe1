"""GET decisions: the newest 10,000 from memory, older ones from the log by sequence."""

import json
import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime, BeforeValidator

from fleet_chassis.problems import Problem
from fleet_contracts import Decision, Reason, Role
from fleet_contracts.http import Page
from risk_gateway.access import Caller, needs
from risk_gateway.recent import Stored, Wanted
from risk_gateway.shard import Shard

router = APIRouter(tags=["look"])
Viewer = Annotated[Caller, needs(Role.VIEWER)]
LIMIT_MAX = 500
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_CURSOR = r"^[0-9]{1,18}(\.[0-9]{1,6})?$"


def _rfc3339(text: str) -> str:
    """A plain number is no time here, though pydantic would take one."""
    if not _RFC3339.fullmatch(text):
        raise ValueError("is not a time like 2026-01-05T10:00:00Z")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]


@router.get("/decisions", operation_id="get_decisions", summary="Decisions", response_model=Page[dict[str, Any]])
async def decisions(
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 100,
    after: Annotated[str | None, Query(pattern=_CURSOR, description="a cursor: go on behind it, oldest first")] = None,
    since: Annotated[Moment | None, Query(description="not before")] = None,
    until: Annotated[Moment | None, Query(description="not after")] = None,
    bot: Annotated[str | None, Query(max_length=64)] = None,
    decision: Annotated[Decision | None, Query()] = None,
    reason: Annotated[Reason | None, Query()] = None,
) -> dict[str, Any]:
    """Oldest first. Without `after` and `since`: the newest `limit`. Every item carries its `cursor`."""
    shard = _opened(caller.shard)
    wanted = Wanted(since, until, bot, decision, reason)
    if after is None and since is None:
        newest = [row for row, _ in zip(shard.history.recent.newest_first(wanted), range(limit), strict=False)]
        return {"items": [_item(row) for row in reversed(newest)], "next": None}
    seq, _, line = (after or "0.0").partition(".")
    rows = await shard.history.behind(int(seq), int(line or 0) if after else -1, wanted, limit)
    return {"items": [_item(row) for row in rows], "next": rows[-1].cursor if len(rows) == limit else None}


@router.get(
    "/decisions/{order_id}",
    operation_id="get_order_decisions",
    summary="One order's decisions",
    response_model=Page[dict[str, Any]],
)
async def order_decisions(
    order_id: Annotated[str, Path(examples=["qe1-000123"])],
    request: Request,
    caller: Viewer,
    bot: Annotated[str | None, Query(max_length=64)] = None,
) -> dict[str, Any]:
    """The decision of an order id (and those of conflicting uses of it), oldest first. 404 when there is none."""
    shard = _opened(caller.shard)
    rows = shard.history.recent.find(order_id, bot)
    for name in () if rows else (bot,) if bot else request.app.bots:
        rows += await shard.history.of_order(order_id, name)
    if not rows:
        raise Problem(404, "NOT_FOUND", f"no decision of order {order_id!r} is remembered")
    return {"items": [_item(row) for row in rows], "next": None}


def _item(row: Stored) -> dict[str, Any]:
    item: dict[str, Any] = json.loads(row.raw)
    return item | {"cursor": row.cursor}


def _opened(shard: Shard) -> Shard:
    if not shard.is_open:
        raise Problem(503, "NOT_READY", "the account's state is not restored yet; is NATS up?")
    return shard
