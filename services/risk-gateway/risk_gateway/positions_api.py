"""What is held, what is on its way, and settling a difference between the two views of a position (R11, R12)."""

from typing import Any

from fastapi import APIRouter

from fleet_chassis.problems import Problem
from fleet_contracts.http import Page
from fleet_contracts.http_positions import PositionView, ReconcileAnswer, ReconcileRequest, ReservationView
from risk_gateway.access import Approver, IdempotencyKey, Viewer, once, stop_of
from risk_gateway.core import report
from risk_gateway.core.reconciling import NotReconcilable
from risk_gateway.refusals import CHANGES, PROBLEM, opened, recorded

router = APIRouter()


@router.get("/positions", operation_id="get_positions", tags=["look"], summary="Positions", response_model=Page[PositionView])
async def positions(caller: Viewer) -> dict[str, Any]:
    """Per symbol, netted over bots: by fills, held by orders on their way, and as the venue shows it."""
    return {"items": report.positions(opened(caller.shard).core), "next": None}


@router.get(
    "/reservations", operation_id="get_reservations", tags=["look"], summary="Holds", response_model=Page[ReservationView]
)
async def reservations(caller: Viewer) -> dict[str, Any]:
    """Every allowed order that may still be filled; what reads UNKNOWN is asked about and keeps counting."""
    shard = opened(caller.shard)
    return {"items": report.reservations(shard.core, shard.now()), "next": None}


@router.post(
    "/positions/reconcile",
    operation_id="post_positions_reconcile",
    tags=["act"],
    summary="Take over a position as reported",
    response_model=ReconcileAnswer,
    responses=CHANGES | {409: {**PROBLEM, "description": "no such difference stands, or it is another one by now"}},
)
async def reconcile(body: ReconcileRequest, caller: Approver, key: IdempotencyKey = None) -> Any:
    """Closes a drift, and lets in a position from before the fleet knew the bot. Records the command first. `reported_qty` is
    what you have seen: when the venue reports another by now, nothing changes.
    """

    async def work() -> dict[str, Any]:
        shard = opened(caller.shard)
        before = shard.core.state.exposure.book(body.symbol).position
        try:
            await recorded(shard.reconcile(stop_of(caller, body.reason, key, "reconcile"), body.symbol, body.reported_qty))
        except NotReconcilable as error:
            raise Problem(409, error.code, str(error)) from error
        return {
            "account": shard.account,
            "symbol": body.symbol,
            "previous_qty": report.text(before),
            "qty": report.text(shard.core.state.exposure.book(body.symbol).position),
        }

    return await once.do(caller.identity.name, key, f"reconcile {caller.shard.account} {body.model_dump_json()}", work)
