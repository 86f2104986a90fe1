"""Stopping and going on: halts and kills act first and are recorded after; a resume has to answer for its checklist."""

import json
from typing import Any

from fastapi import APIRouter

from fleet_chassis.problems import Problem
from fleet_contracts.http import (
    CloseAnswer,
    CloseRequest,
    HaltAnswer,
    HaltRequest,
    HaltsView,
    KillRequest,
    ResumeAnswer,
    ResumeRequest,
    ScopedRequest,
)
from fleet_contracts.money import plain
from risk_gateway.access import Approver, Caller, IdempotencyKey, Stopper, Viewer, once, stop_of
from risk_gateway.commands import Lift, NotClean
from risk_gateway.core import report
from risk_gateway.core.account import NotReady
from risk_gateway.core.checklist import NAMES, Item, checklist
from risk_gateway.core.halts import KILL_SWITCH
from risk_gateway.core.scope import scope_of, whole
from risk_gateway.refusals import CHANGES, opened, recorded
from risk_gateway.shard import Shard

router = APIRouter()


@router.get("/halts", operation_id="get_halts", tags=["look"], summary="Halts in force", response_model=HaltsView)
async def halts(caller: Viewer) -> dict[str, Any]:
    """Oldest first; of a kill, how far it has come and by what that is known. And the checklist of a resume of them all."""
    shard = caller.shard
    items = [_check_row(item) for item in checklist(shard.core, _ids(shard), shard.now())] if shard.is_open else []
    manual = shard.is_open and shard.core.state.manual_close_needed
    return {"items": _rows(shard), "next": None, "checklist": items, "manual_close_needed": manual}


@router.post(
    "/halt",
    operation_id="post_halt",
    tags=["act"],
    summary="Halt an account, a bot or a symbol",
    response_model=HaltAnswer,
    responses=CHANGES,
)
async def halt(body: HaltRequest, caller: Stopper, key: IdempotencyKey = None) -> Any:
    """Acts first: latch file and memory, then the record. Works without NATS. Reductions stay allowed."""
    return await _stopped(body, caller, key, "halt")


@router.post(
    "/kill",
    operation_id="post_kill",
    tags=["act"],
    summary="The kill switch: halt, cancel, close",
    response_model=HaltAnswer,
    responses=CHANGES,
)
async def kill(body: KillRequest, caller: Stopper, key: IdempotencyKey = None) -> Any:
    """A halt that also has every order of the scope cancelled and every position closed. GET /halts shows how far it is.

    While a kill of the same scope is under way, pressing again joins it.
    """
    return await _stopped(body, caller, key, "kill")


async def _stopped(body: ScopedRequest, caller: Caller, key: str | None, what: str) -> Any:
    async def work() -> dict[str, Any]:
        shard = caller.shard
        scope = _scope(shard, body)
        stop = stop_of(caller, body.reason, key, what)
        try:
            made, in_log = await shard.halt(stop, KILL_SWITCH, scope, flatten=what == "kill")
        except OSError as error:
            raise Problem(
                503, "LATCH_NOT_WRITTEN", f"halted in memory, but the latch file could not be written: {error}"
            ) from error
        view = next((row for row in _rows(shard) if row["halt_id"] == made.halt_id), None)
        view = (view or json.loads(made.model_dump_json(exclude_none=True))) | {"recorded": in_log}
        return {"halt": view, "trading_state": _trading_state(shard)}

    return await once.do(caller.identity.name, key, f"{what} {caller.shard.account} {body.model_dump_json()}", work)


@router.post(
    "/resume",
    operation_id="post_resume",
    tags=["act"],
    summary="Lift halts",
    response_model=ResumeAnswer,
    responses=CHANGES,
)
async def resume(body: ResumeRequest, caller: Approver, key: IdempotencyKey = None) -> Any:
    """Records the command first. What is not clean on the checklist (GET /halts) must be overridden item by item, with why:
    409 CHECKLIST_NOT_CLEAN names the rest. A limit that is still passed halts again with the next EQUITY.
    """

    async def work() -> dict[str, Any]:
        shard = opened(caller.shard)
        _refuse_words(shard, body)
        known = _ids(shard)
        chosen = known if body.halt_ids is None else known & set(body.halt_ids)
        if not chosen:
            raise Problem(409, "NOT_HALTED", "none of these halts is in force")
        lift = Lift(frozenset(chosen), body.overrides, body.rebase_drawdown)
        try:
            await recorded(shard.resume(stop_of(caller, body.reason, key, "resume"), lift))
        except NotClean as error:
            errors = [{"field": item.name, "detail": item.detail} for item in error.items]
            detail = "not everything is in order; put it in order, or override it item by item with why"
            raise Problem(409, "CHECKLIST_NOT_CLEAN", detail, errors) from None
        return {"lifted": sorted(chosen), "halts": _rows(shard), "trading_state": shard.core.trading_state}

    return await once.do(caller.identity.name, key, f"resume {caller.shard.account} {body.model_dump_json()}", work)


@router.post(
    "/positions/close",
    operation_id="post_positions_close",
    tags=["act"],
    summary="Have positions closed",
    response_model=CloseAnswer,
    responses=CHANGES,
)
async def close(body: CloseRequest, caller: Stopper, key: IdempotencyKey = None) -> Any:
    """Tells the bots to close, once; nothing is halted, so they may open again. The kill switch does more."""

    async def work() -> dict[str, Any]:
        shard = opened(caller.shard)
        _scope(shard, body)
        stop = stop_of(caller, body.reason, key, "close")
        try:
            return {"commands": await recorded(shard.close(stop, body.bot, body.symbol))}
        except NotReady:
            raise Problem(503, "NOT_READY", "the account has no limits yet; is a leader up?") from None

    return await once.do(caller.identity.name, key, f"close {caller.shard.account} {body.model_dump_json()}", work)


def _refuse_words(shard: Shard, body: ResumeRequest) -> None:
    wanted = f"resume {shard.account}"
    if body.phrase != wanted:
        raise Problem(422, "WRONG_PHRASE", f"type `{wanted}` to confirm", [{"field": "phrase", "detail": "differs"}])
    unknown = sorted(set(body.overrides) - NAMES)
    if unknown:
        detail = f"there is no item {unknown[0]!r}; there are: {', '.join(sorted(NAMES))}"
        raise Problem(422, "INVALID_REQUEST", detail, [{"field": "overrides", "detail": detail}])


def _scope(shard: Shard, body: ScopedRequest) -> str:
    """The scope, if there is such a bot or symbol: a stop of something misspelt would stop nothing. 422 as a problem."""
    for field, name, known in (
        ("bot", body.bot, set(shard.setup.bots)),
        (
            "symbol",
            body.symbol,
            set(shard.setup.risk.symbols) | (set(shard.core.state.exposure.books) if shard.is_open else set()),
        ),
    ):
        if name is not None and name not in known:
            detail = f"account {shard.account} has no {field} {name!r}; there are: {', '.join(sorted(known)) or 'none'}"
            raise Problem(422, "INVALID_REQUEST", detail, [{"field": field, "detail": detail}])
    return scope_of(body.bot, body.symbol)


def _ids(shard: Shard) -> set[str]:
    return {halt.halt_id for halt in shard.halts}


def _trading_state(shard: Shard) -> str:
    if shard.is_open:
        return shard.core.trading_state
    return "HALTED" if any(whole(halt.scope) for halt in shard.halts) else "ACTIVE"


def _rows(shard: Shard) -> list[dict[str, Any]]:
    if shard.is_open:
        return [report.halt_row(halt, shard.core) for halt in shard.halts]
    return [json.loads(halt.model_dump_json(exclude_none=True)) | {"recorded": False} for halt in shard.halts]


def _check_row(item: Item) -> dict[str, Any]:
    return {
        "item": item.name,
        "clean": item.clean,
        "detail": item.detail,
        "value": None if item.value is None else plain(item.value),
        "limit": None if item.limit is None else plain(item.limit),
    }
