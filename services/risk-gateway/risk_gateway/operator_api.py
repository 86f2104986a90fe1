"""The operator REST API of WIRE, as far as this build has it. Every refusal is a problem; raising acts are recorded first."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response

from fleet_chassis.problems import Problem
from fleet_chassis.service_app import VERSION
from fleet_contracts import Role
from fleet_contracts.envelope import format_ts
from fleet_contracts.http import (
    LimitsAnswer,
    LimitsRequest,
    LimitsView,
    Page,
    PositionView,
    ReservationView,
    StatusView,
)
from fleet_contracts.parse import LINE_BYTES_MAX
from fleet_contracts.risk_config import RiskConfig, UnenforcedLimit, refuse_unenforced
from risk_gateway.access import Approver, IdempotencyKey, Viewer, identify, once, stop_of
from risk_gateway.commands import Outdated
from risk_gateway.core import report
from risk_gateway.core.rules import Setup, limits_fields
from risk_gateway.core.scope import whole
from risk_gateway.decisions_api import router as decisions_router
from risk_gateway.halts_api import router as halts_router
from risk_gateway.life import bots_view, services_view
from risk_gateway.order_api import router as order_router
from risk_gateway.refusals import CHANGES, PROBLEM, REFUSALS, opened, recorded
from risk_gateway.shard import Shard

router = APIRouter(prefix="/api/v1", responses=REFUSALS)
router.include_router(decisions_router)
router.include_router(halts_router)
router.include_router(order_router)


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


@router.get("/limits", operation_id="get_limits", tags=["look"], summary="Limits and headroom", response_model=LimitsView)
async def limits(caller: Viewer, response: Response) -> dict[str, Any]:
    """The limits in force and how much of each is used; the ETag names the revision."""
    shard = opened(caller.shard)
    answer = report.limits(shard.core, shard.now())
    response.headers["ETag"] = _etag(answer)
    return answer


@router.get("/positions", operation_id="get_positions", tags=["look"], summary="Positions", response_model=Page[PositionView])
async def positions(caller: Viewer) -> dict[str, Any]:
    """Per symbol, netted over bots, out of the fold of fills."""
    return {"items": report.positions(opened(caller.shard).core), "next": None}


@router.get(
    "/reservations", operation_id="get_reservations", tags=["look"], summary="Holds", response_model=Page[ReservationView]
)
async def reservations(caller: Viewer) -> dict[str, Any]:
    """Every allowed order that may still be filled."""
    shard = opened(caller.shard)
    return {"items": report.reservations(shard.core, shard.now()), "next": None}


@router.post(
    "/limits",
    operation_id="post_limits",
    tags=["act"],
    summary="Put other limits in force",
    response_model=LimitsAnswer,
    responses=CHANGES
    | {
        412: {**PROBLEM, "description": "the limits have changed since you read them"},
        428: {**PROBLEM, "description": "If-Match is missing"},
    },
)
async def apply_limits(
    body: LimitsRequest,
    caller: Approver,
    key: IdempotencyKey = None,
    if_match: Annotated[str | None, Header(description="the ETag of GET /limits")] = None,
) -> Any:
    """The next revision, by a person, with a reason. Old decisions keep the revision they were made under."""

    async def work() -> dict[str, Any]:
        shard = opened(caller.shard)
        if if_match is None:
            raise Problem(428, "PRECONDITION_REQUIRED", "send If-Match with the ETag of GET /api/v1/limits")
        read = report.limits(shard.core, shard.now())
        if if_match != _etag(read):
            raise _outdated()
        _refuse_unenforced(shard.account, body)
        setup = replace(shard.setup, risk=body.risk)
        _refuse_too_large(shard, setup)
        try:
            revision = await recorded(
                shard.apply_limits(stop_of(caller, body.reason, key, "limits"), setup, int(read["revision"]))
            )
        except Outdated:
            raise _outdated() from None
        return {"account": shard.account, "revision": revision, "digest": limits_fields(setup)["digest"]}

    return await once.do(caller.identity.name, key, f"limits {caller.shard.account} {body.model_dump_json()}", work)


def _refuse_unenforced(account: str, body: LimitsRequest) -> None:
    try:
        refuse_unenforced(RiskConfig(accounts={account: body.risk}))
    except UnenforcedLimit as error:
        raise Problem(422, "NOT_ENFORCED", str(error)) from error


def _outdated() -> Problem:
    return Problem(412, "PRECONDITION_FAILED", "the limits have changed since you read them; look again")


def _refuse_too_large(shard: Shard, setup: Setup) -> None:
    size = len(shard.core.limits_fact(setup, "x" * 64, shard.now(), by="x" * 64, reason="x" * 1000).line)
    if size > LINE_BYTES_MAX:
        detail = f"the limits take {size} bytes as an event, at most {LINE_BYTES_MAX}; name fewer symbols"
        raise Problem(422, "TOO_LARGE", detail, [{"field": "risk", "detail": detail}])


def _etag(answer: dict[str, Any]) -> str:
    return f'"{answer["revision"]}-{answer["digest"]}"'
