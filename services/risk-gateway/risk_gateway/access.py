"""Who may call an operator route, how often, and for which account; and one answer for one Idempotency-Key."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request

from fleet_chassis.auth import Identity
from fleet_chassis.problems import Problem
from fleet_contracts import Role, derived_id
from risk_gateway.commands import Stop
from risk_gateway.core.admission import Admission, Rate
from risk_gateway.shard import Shard

KEYS_MAX = 10_000
RETRY_AFTER_S = 1
Account = Annotated[str, Query(description="the account", pattern=r"^[A-Za-z0-9_-]{1,64}$")]
IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", max_length=128, description="a repeat with the same key is done once")
]


class Bucket(Enum):
    """Requests a token may make, a second in the long run and at once. Stopping has its own: it is never crowded out."""

    LOOK = Rate(50, 200)
    ACT = Rate(10, 60)
    STOP = Rate(20, 100)


class Buckets:
    """How much of its buckets every token has left."""

    def __init__(self, rates: Mapping[Bucket, Rate] | None = None) -> None:
        self._rates = rates or {bucket: bucket.value for bucket in Bucket}
        self._of = {bucket: Admission(rate) for bucket, rate in self._rates.items()}

    def take(self, bucket: Bucket, name: str) -> None:
        """Count one request. 429 as a problem when there were too many."""
        if self._of[bucket].admit(name, asyncio.get_running_loop().time()):
            return
        rate = self._rates[bucket]
        problem = Problem(
            429, "TOO_MANY_REQUESTS", f"this token asks too often: {rate.per_s:g} a second, {rate.burst:g} at once"
        )
        problem.headers["retry-after"] = str(RETRY_AFTER_S)
        raise problem


@dataclass(frozen=True, slots=True)
class Caller:
    """A human with sufficient role, and the account meant."""

    identity: Identity
    shard: Shard


def needs(role: Role, bucket: Bucket = Bucket.LOOK) -> Any:
    """A dependency: the caller, who has at least this role. 401, 403, 404, 429 as problems."""

    async def caller(request: Request, account: Account = "main") -> Caller:
        identity = identify(request, bucket)
        if not identity.at_least(role):
            raise Problem(403, "FORBIDDEN", f"this needs role {role} or more; your token has role {identity.role}")
        shard = request.app.shards.get(account)
        if shard is None or not identity.may_see(account):
            raise Problem(404, "NOT_FOUND", f"there is no account {account!r} here")
        return Caller(identity, shard)

    return Depends(caller)


def identify(request: Request, bucket: Bucket = Bucket.LOOK) -> Identity:
    """Who sent the request. 401 and 429 as problems."""
    identity: Identity | None = request.app.tokens.identify(request.headers.get("authorization", "").encode())
    if identity is None:
        problem = Problem(401, "UNAUTHENTICATED", "a known bearer token is required")
        problem.headers["www-authenticate"] = "Bearer"
        raise problem
    request.app.buckets.take(bucket, identity.name)
    return identity


class Once:
    """Answers by (token, Idempotency-Key): the same request gets the same answer, another one 422.

    A repeat that comes while the first is at work waits for its answer.
    """

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str], tuple[str, asyncio.Future[Any]]] = OrderedDict()

    async def do(self, name: str, key: str | None, request: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """The earlier answer, or that of `work`. A failure is not remembered."""
        if key is None:
            return await work()
        digest = hashlib.sha256(request.encode()).hexdigest()
        known = self._answers.get((name, key))
        if known is not None:
            if known[0] != digest:
                raise Problem(422, "IDEMPOTENCY_CONFLICT", "this Idempotency-Key was used for another request")
            return await asyncio.shield(known[1])
        doing = asyncio.ensure_future(work())
        self._answers[name, key] = (digest, doing)
        doing.add_done_callback(lambda done: self._forget_failure((name, key), done))
        while len(self._answers) > KEYS_MAX:
            self._answers.popitem(last=False)
        return await asyncio.shield(doing)

    def _forget_failure(self, key: tuple[str, str], done: "asyncio.Future[Any]") -> None:
        if done.cancelled() or done.exception() is not None:
            self._answers.pop(key, None)


once = Once()
"""Of every route that changes something: a key means one request, whichever route it was sent to."""
Viewer = Annotated[Caller, needs(Role.VIEWER)]
Operator = Annotated[Caller, needs(Role.OPERATOR, Bucket.ACT)]
Approver = Annotated[Caller, needs(Role.APPROVER, Bucket.ACT)]
Stopper = Annotated[Caller, needs(Role.OPERATOR, Bucket.STOP)]
"""An operator who stops something."""


def stop_of(caller: Caller, reason: str, key: str | None, what: str) -> Stop:
    """Who, why, and one id for the command: the Idempotency-Key, or the moment."""
    identity = caller.identity
    moment = datetime.now(UTC).isoformat()
    derived = derived_id(caller.shard.account, identity.name, key or moment, what)
    return Stop(by=identity.name, role=identity.role, reason=reason, key=derived)
