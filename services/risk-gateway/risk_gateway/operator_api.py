"""The operator REST API of WIRE, as far as this build has it. Every refusal is a problem; raising acts are recorded first."""

import json
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request

from fleet_chassis.problems import Problem
from fleet_chassis.service_app import VERSION
from fleet_contracts import Role
from fleet_contracts.envelope import format_ts
from fleet_contracts.http import (
    StatusView,
)
from risk_gateway.access import identify
from risk_gateway.core import report
from risk_gateway.core.scope import whole
from risk_gateway.decisions_api import router as decisions_router
from risk_gateway.halts_api import router as halts_router
from risk_gateway.life import bots_view, services_view
from risk_gateway.limits_api import router as limits_router
from risk_gateway.order_api import router as order_router
from risk_gateway.positions_api import router as positions_router
from risk_gateway.refusals import REFUSALS
from risk_gateway.shard import Shard

router = APIRouter(prefix="/api/v1", responses=REFUSALS)
router.include_router(decisions_router)
router.include_router(halts_router)
router.include_router(limits_router)
router.include_router(order_router)
router.include_router(positions_router)


@router.get("/status", operation_id="get_status", tags=["look"], summary="The fleet at a glance", response_model=StatusView)
async def status(request: Request) -> dict[str, Any]:
    """Accounts, and every service and bot with the age of its newest heartbeat."""
    identity = identify(request)
    if not identity.at_least(Role.VIEWER):
        raise Problem(403, "FORBIDDEN", "this needs role viewer or more")
    app, now = request.app, datetime.now(UTC)
    return {
        "now": format_ts(now),
        "version": VERSION,
        "instance": app.instance,
        "accounts": [_account(shard) for shard in app.shards.values() if identity.may_see(shard.account)],
        "services": services_view(app.beats, now),
        "bots": bots_view(app.beats, app.bots, now),
    }


def _account(shard: Shard) -> dict[str, Any]:
    if not shard.is_open:
        halts = [{**json.loads(halt.model_dump_json()), "recorded": False} for halt in shard.halts]
        return {
            "account": shard.account,
            "trading_state": "HALTED" if any(whole(halt.scope) for halt in shard.halts) else "ACTIVE",
            "leads": False,
            "halts": halts,
        }
    pipeline = shard.drive.pipeline
    return {
        **report.standing(shard.core),
        "leads": shard.leads,
        "status": pipeline.status,
        "leader": shard.core.state.leader,
        "folded_seq": pipeline.fold.seq,
    }
