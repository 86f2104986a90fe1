"""POST /api/v1/risk/evaluate before FastAPI's machinery: bytes in, bytes out, one lookup for the token.

The HTTP protocol hands a plain request straight to `evaluate` (http_hot.py); one that comes through ASGI (pipelined,
`Expect`, a closing connection) gets the same answer by `Gateway.__call__`. FastAPI documents the route (operator_api.py).
"""

import asyncio
import json

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from fleet_chassis.auth import Identity, Tokens
from fleet_chassis.gc_pauses import GcPauses
from fleet_chassis.http_app import BODY_BYTES_MAX
from fleet_chassis.http_hot import Headers, Refused, Reply
from fleet_chassis.problems import MEDIA_TYPE, problem_body
from fleet_chassis.quick_read import quick_read
from fleet_contracts import BadInput, DeadReason, Reason, Role, parse_order
from risk_gateway.access import Buckets
from risk_gateway.answers import no_decision
from risk_gateway.core.decision import Order
from risk_gateway.desk import DEADLINE_MS, DEADLINE_MS_MAX
from risk_gateway.forward import Forward
from risk_gateway.quick_order import quick_order
from risk_gateway.shard import Shard
from risk_gateway.watch import Beats

PATH = "/api/v1/risk/evaluate"
_DIGITS_MAX = len(str(DEADLINE_MS_MAX))
"""Python refuses to read a number of thousands of digits."""
_JSON = (b"content-type", b"application/json")


class Gateway(FastAPI):
    """The app; orders never enter its router."""

    shards: dict[str, Shard]
    tokens: Tokens
    beats: Beats
    pauses: GcPauses
    forward: Forward
    buckets: Buckets
    instance: str
    bots: dict[str, str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            await self._answer(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def reply(body: bytes) -> None:
            if not answered.done():
                answered.set_result(body)

        try:
            self.evaluate(scope["headers"], await _body(receive), reply)
            status, headers, body = 200, [_JSON], await answered
        except Refused as refused:
            status, headers, body = refused.status, [*refused.headers], refused.body
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def evaluate(self, headers: Headers, body: bytes, reply: Reply) -> None:
        """Answer one order. Raises `Refused` with a problem for what is no question of a bot about its order."""
        named = dict(headers)
        identity = self._bot(named)
        if len(body) > BODY_BYTES_MAX:
            raise _refused(413, "TOO_LARGE", f"a body has at most {BODY_BYTES_MAX} bytes", more=[(b"connection", b"close")])
        order, shard = self._order(body, identity)
        deadline_s = _deadline_s(named, order)
        bot = identity.bot or ""
        if not shard.is_open:
            reply(no_decision(order, bot, "http", Reason.JOURNAL_UNAVAILABLE, shard.now()))
        elif not shard.follows or not self._forward(shard, order, bot, body, deadline_s, reply):
            shard.desk.ask(order, bot=bot, door="http", deadline_s=deadline_s, reply=reply)

    def _forward(self, shard: Shard, order: Order, bot: str, body: bytes, deadline_s: float, reply: Reply) -> bool:
        """Ask the leader; False when there is no way to it, and this instance has to say so."""

        def refuse() -> None:
            reply(no_decision(order, bot, "http", Reason.NO_LEADER, shard.now()))

        return self.forward.ask(order.account, bot, body, deadline_s, reply, refuse)

    def _bot(self, headers: dict[bytes, bytes]) -> Identity:
        identity = self.tokens.identify(headers.get(b"authorization", b""))
        if identity is None:
            raise _refused(401, "UNAUTHENTICATED", "a known bearer token is required", more=[(b"www-authenticate", b"Bearer")])
        if identity.role is not Role.BOT:
            raise _refused(403, "FORBIDDEN", "only a bot's token may ask about orders")
        return identity

    def _order(self, body: bytes, identity: Identity) -> tuple[Order, Shard]:
        """The order and its account: the body's, else the token's only one."""
        accounts = identity.accounts or frozenset()
        only = next(iter(accounts)) if len(accounts) == 1 else None
        bot = identity.bot or ""
        try:
            order = quick_order(body, only, bot) or parse_order(body, account=only, bot=bot, read=quick_read)
        except BadInput as error:
            raise _blame(error) from None
        shard = self.shards.get(order.account)
        if shard is None or order.account not in accounts:
            raise _refused(403, "FORBIDDEN", f"this token may not trade account {order.account!r}", "account")
        return order, shard


async def _body(receive: Receive) -> bytes:
    """The body; one over the limit only as far as that shows."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body") and len(body) <= BODY_BYTES_MAX:
        message = await receive()
        body += message.get("body", b"")
    return body


def _deadline_s(headers: dict[bytes, bytes], order: Order) -> float:
    """X-Deadline-Ms, else the order's own `deadline_ms`, else the default; in seconds."""
    given = headers.get(b"x-deadline-ms")
    if given is None:
        return (order.deadline_ms or DEADLINE_MS) / 1000
    if not given.isdigit() or len(given) > _DIGITS_MAX or not 1 <= int(given) <= DEADLINE_MS_MAX:
        raise _refused(422, "INVALID_REQUEST", f"X-Deadline-Ms is a whole number from 1 to {DEADLINE_MS_MAX}", "X-Deadline-Ms")
    return int(given) / 1000


def _blame(error: BadInput) -> Refused:
    match error.reason:
        case DeadReason.NOT_JSON:
            return _refused(400, "NOT_JSON", error.detail)
        case DeadReason.SUBJECT_MISMATCH:
            return _refused(403, "FORBIDDEN", error.detail, error.field)
        case DeadReason.TOO_LARGE:
            return _refused(413, "TOO_LARGE", error.detail)
        case _:
            return _refused(422, "INVALID_REQUEST", error.detail, error.field)


def _refused(status: int, code: str, detail: str, field: str | None = None, more: Headers = ()) -> Refused:
    """A problem as an answer."""
    errors = [{"field": field, "detail": detail}] if field else []
    body = json.dumps(problem_body(status, code, detail, errors)).encode()
    return Refused(status, [(b"content-type", MEDIA_TYPE.encode()), *more], body)
