"""The limits over REST: how full each is, other ones put in force, a disabled strategy enabled, what the shadow set says."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from fleet_chassis.problems import Problem
from fleet_contracts.http_limits import (
    EnableAnswer,
    EnableRequest,
    LimitsAnswer,
    LimitsRequest,
    LimitsView,
    ShadowView,
)
from fleet_contracts.parse import LINE_BYTES_MAX
from fleet_contracts.risk_config import RiskConfig, UnenforcedLimit, refuse_unenforced
from risk_gateway.access import Approver, IdempotencyKey, Viewer, once, stop_of
from risk_gateway.commands import Outdated
from risk_gateway.core import headroom
from risk_gateway.core.rules import Setup, limits_fields
from risk_gateway.core.terms import BOT, STRATEGY
from risk_gateway.refusals import CHANGES, PROBLEM, opened, recorded
from risk_gateway.shard import Shard

router = APIRouter(prefix="/limits")


@router.get("", operation_id="get_limits", tags=["look"], summary="Limits and headroom", response_model=LimitsView)
async def limits(caller: Viewer, response: Response) -> dict[str, Any]:
    """The limits in force, how much of each is used, and when it would be reached; the ETag names the revision."""
    shard = opened(caller.shard)
    answer = headroom.limits(shard.core, shard.limits.trend, shard.now())
    response.headers["ETag"] = _etag(answer)
    return answer | {"file_differs": limits_fields(shard.setup)["digest"] != answer["digest"]}


@router.post(
    "",
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
        rules = shard.core.state.rules
        if rules is None or if_match != _etag({"revision": rules.revision, "digest": rules.digest}):
            raise _outdated()
        _refuse_unenforced(shard.account, body)
        setup = replace(shard.setup, risk=body.risk)
        _refuse_too_large(shard, setup)
        try:
            revision = await recorded(shard.limits.apply(stop_of(caller, body.reason, key, "limits"), setup, rules.revision))
        except Outdated:
            raise _outdated() from None
        return {"account": shard.account, "revision": revision, "digest": limits_fields(setup)["digest"]}

    return await once.do(caller.identity.name, key, f"limits {caller.shard.account} {body.model_dump_json()}", work)


@router.post(
    "/enable",
    operation_id="post_limits_enable",
    tags=["act"],
    summary="Enable a strategy that repeated itself",
    response_model=EnableAnswer,
    responses=CHANGES,
)
async def enable(body: EnableRequest, caller: Approver, key: IdempotencyKey = None) -> Any:
    """A person has looked: the strategy (or the bot, where orders name none) may open again. Records the command first."""

    async def work() -> dict[str, Any]:
        shard = opened(caller.shard)
        who = (STRATEGY, body.strategy) if body.strategy is not None else (BOT, str(body.bot))
        if who not in shard.core.state.throttles.disabled:
            raise Problem(409, "NOT_DISABLED", f"{' '.join(who)} is not disabled")
        revision = await recorded(shard.limits.enable(stop_of(caller, body.reason, key, "enable"), who))
        return {"account": shard.account, "revision": revision, "enabled": {"kind": who[0], "name": who[1]}}

    return await once.do(caller.identity.name, key, f"enable {caller.shard.account} {body.model_dump_json()}", work)


@router.get("/shadow", operation_id="get_limits_shadow", tags=["look"], summary="Shadow limits", response_model=ShadowView)
async def shadow(caller: Viewer) -> dict[str, Any]:
    """What the candidate set of risk.shadow.yaml would have answered otherwise, with counts and the newest examples."""
    return opened(caller.shard).limits.shadow.report()


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
