"""The doors over NATS: `svc.risk.evaluate.<account>.<bot>` and `svc.control.state.<account>.<bot>`.

Only the leader listens, so no responder means no leader. Identity is the subject's: the server lets a bot use only its
own. Nothing waits here: an order is handed to the desk, which answers when its decision is stored.
"""

import json
from collections.abc import Callable
from typing import Any

from fleet_chassis.nats_client import Client, read_headers
from fleet_chassis.pipeline import Status
from fleet_chassis.quick_read import quick_read
from fleet_chassis.request_reply import Request, RequestDoor
from fleet_chassis.service_app import together
from fleet_contracts import BadInput, Mode, encode, parse_order
from fleet_contracts.envelope import format_ts
from fleet_contracts.subjects import evaluate_subject, state_subject
from risk_gateway.answers import invalid
from risk_gateway.core.report import halt_row
from risk_gateway.core.scope import bot_in
from risk_gateway.desk import DEADLINE_MS, DEADLINE_MS_MAX
from risk_gateway.forward import DEADLINE_HEADER
from risk_gateway.quick_order import quick_order
from risk_gateway.shard import Shard

ModeOf = Callable[[str], Mode]
_DIGITS_MAX = len(str(DEADLINE_MS_MAX))


class Doors:
    """The two doors of one account; open while this instance leads it."""

    def __init__(self, shard: Shard, client: Client, mode_of: ModeOf) -> None:
        self._shard, self._mode_of = shard, mode_of
        self._doors = (
            RequestDoor(client, evaluate_subject(shard.account, "*"), self._evaluate),
            RequestDoor(client, state_subject(shard.account, "*"), self._state),
        )
        shard.on_status(self._follow)

    async def run(self) -> None:
        """Serve, for ever."""
        await together(*(door.run() for door in self._doors))

    def _follow(self, status: Status) -> None:
        for door in self._doors:
            if status is Status.LEADING:
                door.open()
            elif status is Status.FOLLOWING:
                door.close()

    def _evaluate(self, request: Request) -> None:
        account, bot = request.subject.split(".")[3:5]
        try:
            order = quick_order(request.body, account, bot) or parse_order(
                request.body, account=account, bot=bot, read=quick_read
            )
        except BadInput as error:
            request.answer(invalid(account, bot, "nats", error.detail, self._shard.now()))
            return
        deadline_s = (_waits_ms(request) or order.deadline_ms or DEADLINE_MS) / 1000
        self._shard.desk.ask(order, bot=bot, door="nats", deadline_s=deadline_s, reply=request.answer)

    def _state(self, request: Request) -> None:
        request.answer(json.dumps(self._view(request.subject.split(".")[4])).encode())

    def _view(self, bot: str) -> dict[str, Any]:
        core = self._shard.core
        now = self._shard.now()
        return {
            "account": self._shard.account,
            "bot": bot,
            "mode": self._mode_of(bot),
            "trading_state": core.trading_state,
            "halts": [halt_row(halt, core) for halt in core.halts if bot_in(halt.scope) in (None, bot)],
            "manual_close_needed": core.state.manual_close_needed,
            "latches": sorted(core.latches),
            "constraints": {},
            "commands": [json.loads(encode(command)) for command in core.open_commands(bot, now)],
            "as_of": format_ts(now),
        }


def _waits_ms(request: Request) -> int | None:
    """How long the asker waits, if it says so in a header; nonsense counts as nothing said."""
    if not request.headers:
        return None
    said = read_headers(request.headers).get(DEADLINE_HEADER, "")
    return min(int(said), DEADLINE_MS_MAX) or None if said.isdecimal() and len(said) <= _DIGITS_MAX else None
