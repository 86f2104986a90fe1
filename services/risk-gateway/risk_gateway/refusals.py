"""How the operator API refuses: what each status means in the documentation, and the problems that several routes share."""

from collections.abc import Awaitable
from typing import Any, TypeVar

from fleet_chassis.problems import MEDIA_TYPE, Problem
from fleet_contracts.http import ProblemDetails
from risk_gateway.commands import NotRecorded, Unknown
from risk_gateway.shard import Shard

T = TypeVar("T")
PROBLEM: dict[str, Any] = {"model": ProblemDetails, "content": {MEDIA_TYPE: {}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {**PROBLEM, "description": text}
    for status, text in {
        401: "no known token",
        403: "the role does not suffice",
        404: "no such account",
        422: "the request does not fit",
        429: "this token asks too often; Retry-After says when to come back",
        503: "this instance does not have the account's state yet",
    }.items()
}
CHANGES: dict[int | str, dict[str, Any]] = REFUSALS | {
    400: {**PROBLEM, "description": "the body is not JSON"},
    409: {**PROBLEM, "description": "the account is in another state"},
    503: {**PROBLEM, "description": "not recorded, and nothing has changed; or OUTCOME_UNKNOWN: look again"},
}


def opened(shard: Shard) -> Shard:
    """The shard, once its state is restored. 503 as a problem before."""
    if not shard.is_open:
        raise Problem(503, "NOT_READY", "the account's state is not restored yet; is NATS up?")
    return shard


async def recorded(work: Awaitable[T]) -> T:
    """What comes of a command that must be stored. 503 as a problem when it was not, or nobody knows."""
    try:
        return await work
    except NotRecorded as error:
        raise Problem(503, error.reason, "the command could not be recorded; nothing has changed") from error
    except Unknown as error:
        detail = "the log gave no answer in time: whether it took effect is not known yet; look again with GET"
        raise Problem(503, "OUTCOME_UNKNOWN", detail) from error
