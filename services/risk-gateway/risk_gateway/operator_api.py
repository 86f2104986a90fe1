"""The operator REST API of WIRE, as far as this build has it. Every refusal is a problem; raising acts are recorded first."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response

from fleet_chassis.problems import MEDIA_TYPE, Problem
from fleet_chassis.service_app import VERSION
from fleet_contracts import Role, derived_id
from fleet_contracts.envelope import format_ts
from fleet_contracts.http import (
    HaltAnswer,
    HaltRequest,
    HaltView,
    LimitsAnswer,
    LimitsRequest,
    LimitsView,
    Page,
    PositionView,
    ProblemDetails,
    ReservationView,
    ResumeAnswer,
    ResumeRequest,
    StatusView,
)
from fleet_contracts.parse import LINE_BYTES_MAX
from fleet_contracts.risk_config import RiskConfig, UnenforcedLimit, refuse_unenforced
from risk_gateway.access import Caller, IdempotencyKey, Once, identify, needs
from risk_gateway.commands import NotRecorded, Outdated, Stop, Unknown
from risk_gateway.core import report
from risk_gateway.core.rules import Setup, limits_fields
from risk_gateway.decisions_api import router as decisions_router
from risk_gateway.life import bots_view, services_view
from risk_gateway.order_api import router as order_router
from risk_gateway.shard import Shard

_PROBLEM: dict[str, Any] = {"model": ProblemDetails, "content": {MEDIA_TYPE: {}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {**_PROBLEM, "description": text}
    for status, text in {
        401: "no known token",
        403: "the role does not suffice",
        404: "no such account",
        422: "the request does not fit",
        503: "this instance does not have the account's state yet",
    }.items()
}
CHANGES: dict[int | str, dict[str, Any]] = REFUSALS | {
    409: {**_PROBLEM, "description": "the account is in another state"},
    503: {**_PROBLEM, "description": "not recorded, and nothing has changed; or OUTCOME_UNKNOWN: look again"},
}
router = APIRouter(prefix="/api/v1", responses=REFUSALS)
router.include_router(decisions_router)
router.include_router(order_router)
once = Once()
Viewer = Annotated[Caller, needs(Role.VIEWER)]
Operator = Annotated[Caller, needs(Role.OPERATOR)]
Approver = Annotated[Caller, needs(Role.APPROVER)]


def opened(shard: Shard) -> Shard:
    """The shard, once its state is restored. 503 as a problem before."""
    if not shard.is_open:
        raise Problem(503, "NOT_READY", "the account's state is not restored yet; is NATS up?")
    return shard


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
        return {"account": shard.account, "trading_state": "HALTED" if halts else "ACTIVE", "leads": False, "halts": halts}
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


@router.get("/halts", operation_id="get_halts", tags=["look"], summary="Halts in force", response_model=Page[HaltView])
async def halts(caller: Viewer) -> dict[str, Any]:
    """Oldest first."""
    return {"items": _halts(caller.shard), "next": None}


@router.post(
    "/halt",
    operation_id="post_halt",
    tags=["act"],
    summary="Halt an account",
    response_model=HaltAnswer,
    responses=CHANGES,
)
async def halt(body: HaltRequest, caller: Operator, key: IdempotencyKey = None) -> Any:
    """Acts first: latch file and memory, then the record. Works without NATS. Reductions stay allowed."""

    async def work() -> dict[str, Any]:
        shard = caller.shard
        stop = _stop(caller, body.reason, key, "halt")
        try:
            made, recorded = await shard.halt(stop, "KILL_SWITCH")
        except OSError as error:
            raise Problem(
                503, "LATCH_NOT_WRITTEN", f"halted in memory, but the latch file could not be written: {error}"
            ) from error
        view = json.loads(made.model_dump_json()) | {"recorded": recorded}
        return {"halt": view, "trading_state": "HALTED"}

    return await once.do(caller.identity.name, key, f"halt {caller.shard.account} {body.model_dump_json()}", work)


@router.post(
    "/resume",
    operation_id="post_resume",
    tags=["act"],
    summary="Lift halts",
    response_model=ResumeAnswer,
    responses=CHANGES,
)
async def resume(body: ResumeRequest, caller: Operator, key: IdempotencyKey = None) -> Any:
    """Records the command first. A limit that is still passed halts again with the next EQUITY."""

    async def work() -> dict[str, Any]:
        shard = opened(caller.shard)
        if body.phrase != f"resume {shard.account}":
            raise Problem(
                422, "WRONG_PHRASE", f"type `resume {shard.account}` to confirm", [{"field": "phrase", "detail": "differs"}]
            )
        known = {halt.halt_id for halt in shard.halts}
        chosen = known if body.halt_ids is None else known & set(body.halt_ids)
        if not chosen:
            raise Problem(409, "NOT_HALTED", "none of these halts is in force")
        await _recorded(shard.resume(_stop(caller, body.reason, key, "resume"), chosen))
        return {"lifted": sorted(chosen), "halts": _halts(shard), "trading_state": shard.core.trading_state}

    return await once.do(caller.identity.name, key, f"resume {caller.shard.account} {body.model_dump_json()}", work)


@router.post(
    "/limits",
    operation_id="post_limits",
    tags=["act"],
    summary="Put other limits in force",
    response_model=LimitsAnswer,
    responses=CHANGES
    | {
        412: {**_PROBLEM, "description": "the limits have changed since you read them"},
        428: {**_PROBLEM, "description": "If-Match is missing"},
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
        setup = Setup(body.risk, shard.setup.clock, shard.setup.equity_source)
        _refuse_too_large(shard, setup)
        try:
            revision = await _recorded(
                shard.apply_limits(_stop(caller, body.reason, key, "limits"), setup, int(read["revision"]))
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


async def _recorded(work: Any) -> Any:
    try:
        return await work
    except NotRecorded as error:
        raise Problem(503, error.reason, "the command could not be recorded; nothing has changed") from error
    except Unknown as error:
        detail = "the log gave no answer in time: whether it took effect is not known yet; look again with GET"
        raise Problem(503, "OUTCOME_UNKNOWN", detail) from error


def _halts(shard: Shard) -> list[dict[str, Any]]:
    if shard.is_open:
        return [report.halt_row(halt, shard.core) for halt in shard.halts]
    return [json.loads(halt.model_dump_json()) | {"recorded": False} for halt in shard.halts]


def _stop(caller: Caller, reason: str, key: str | None, what: str) -> Stop:
    """Who, why, and one id for the command: the Idempotency-Key, or the moment."""
    identity = caller.identity
    moment = datetime.now(UTC).isoformat()
    derived = derived_id(caller.shard.account, identity.name, key or moment, what)
    return Stop(by=identity.name, role=identity.role, reason=reason, key=derived)


def _etag(answer: dict[str, Any]) -> str:
    return f'"{answer["revision"]}-{answer["digest"]}"'
