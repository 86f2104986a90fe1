"""POST /api/v1/risk/evaluate before FastAPI's machinery: bytes in, bytes out, one lookup for the token.

FastAPI documents the same route (operator_api.py); its router and middleware would cost three times the decision.
"""

import asyncio
import json

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from fleet_chassis.auth import Identity, Tokens
from fleet_chassis.http_app import BODY_BYTES_MAX, too_large
from fleet_chassis.http_once import send_json
from fleet_chassis.problems import MEDIA_TYPE, problem_body
from fleet_chassis.quick_read import quick_read
from fleet_contracts import BadInput, DeadReason, OrderRequest, Reason, Role, parse_order
from risk_gateway.answers import no_decision
from risk_gateway.desk import DEADLINE_MS
from risk_gateway.shard import Shard
from risk_gateway.watch import Beats

PATH = "/api/v1/risk/evaluate"
DEADLINE_MS_MAX = 60_000
_DIGITS_MAX = len(str(DEADLINE_MS_MAX))
"""Python refuses to read a number of thousands of digits."""


class _Refuse(Exception):
    def __init__(self, status: int, code: str, detail: str, field: str | None = None) -> None:
        self.status, self.code, self.detail, self.field = status, code, detail, field


class Gateway(FastAPI):
    """The app; orders never enter its router."""

    shards: dict[str, Shard]
    tokens: Tokens
    beats: Beats
    instance: str
    bots: dict[str, str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            await self._evaluate(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _evaluate(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = dict(scope["headers"])
            identity = self._bot(headers)
            body = await _body(receive)
            if body is None:
                await too_large(scope, receive, send)
                return
            order, shard = self._order(body, identity)
            answer = await _ask(shard, order, identity.bot or "", _deadline_s(headers, order))
        except _Refuse as refusal:
            await _refuse(send, refusal)
            return
        await send_json(send, answer)

    def _bot(self, headers: dict[bytes, bytes]) -> Identity:
        identity = self.tokens.identify(headers.get(b"authorization", b""))
        if identity is None:
            raise _Refuse(401, "UNAUTHENTICATED", "a known bearer token is required")
        if identity.role is not Role.BOT:
            raise _Refuse(403, "FORBIDDEN", "only a bot's token may ask about orders")
        return identity

    def _order(self, body: bytes, identity: Identity) -> tuple[OrderRequest, Shard]:
        """The order and its account: the body's, else the token's only one."""
        accounts = identity.accounts or frozenset()
        only = next(iter(accounts)) if len(accounts) == 1 else None
        try:
            order = parse_order(body, account=only, bot=identity.bot or "", read=quick_read)
        except BadInput as error:
            raise _blame(error) from None
        shard = self.shards.get(order.account)
        if shard is None or order.account not in accounts:
            raise _Refuse(403, "FORBIDDEN", f"this token may not trade account {order.account!r}", "account")
        return order, shard


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None when it is larger than allowed."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            return None
    return body if len(body) <= BODY_BYTES_MAX else None


def _deadline_s(headers: dict[bytes, bytes], order: OrderRequest) -> float:
    """X-Deadline-Ms, else the order's own `deadline_ms`, else the default; in seconds."""
    given = headers.get(b"x-deadline-ms")
    if given is None:
        return (order.deadline_ms or DEADLINE_MS) / 1000
    if not given.isdigit() or len(given) > _DIGITS_MAX or not 1 <= int(given) <= DEADLINE_MS_MAX:
        raise _Refuse(422, "INVALID_REQUEST", f"X-Deadline-Ms is a whole number from 1 to {DEADLINE_MS_MAX}", "X-Deadline-Ms")
    return int(given) / 1000


async def _ask(shard: Shard, order: OrderRequest, bot: str, deadline_s: float) -> bytes:
    if not shard.is_open:
        return no_decision(order, bot, "http", Reason.JOURNAL_UNAVAILABLE, shard.now())
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def reply(body: bytes) -> None:
        if not answered.done():
            answered.set_result(body)

    shard.desk.ask(order, bot=bot, door="http", deadline_s=deadline_s, reply=reply)
    return await answered


def _blame(error: BadInput) -> _Refuse:
    match error.reason:
        case DeadReason.NOT_JSON:
            return _Refuse(400, "NOT_JSON", error.detail)
        case DeadReason.SUBJECT_MISMATCH:
            return _Refuse(403, "FORBIDDEN", error.detail, error.field)
        case DeadReason.TOO_LARGE:
            return _Refuse(413, "TOO_LARGE", error.detail)
        case _:
            return _Refuse(422, "INVALID_REQUEST", error.detail, error.field)


async def _refuse(send: Send, refusal: _Refuse) -> None:
    errors = [{"field": refusal.field, "detail": refusal.detail}] if refusal.field else []
    body = json.dumps(problem_body(refusal.status, refusal.code, refusal.detail, errors)).encode()
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
