"""The doors over NATS: `svc.risk.evaluate.<account>.<bot>` and `svc.control.state.<account>.<bot>`.

Only the leader listens, so no responder means no leader. Identity is the subject's: the server lets a bot use only its
own. Answers leave in one task, so that no callback waits behind another's append.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from fleet_chassis.pipeline import Status
from fleet_chassis.requests import Requests
from fleet_contracts import BadInput, Mode, encode, parse_order
from fleet_contracts.subjects import evaluate_subject, state_subject
from risk_gateway.answers import invalid
from risk_gateway.core.report import halt_row
from risk_gateway.desk import DEADLINE_MS
from risk_gateway.shard import Shard

_log = logging.getLogger(__name__)
ModeOf = Callable[[str], Mode]


class Doors:
    """The two doors of one account."""

    def __init__(self, shard: Shard, requests: Requests, mode_of: ModeOf) -> None:
        self._shard, self._requests, self._mode_of = shard, requests, mode_of
        self._changed = asyncio.Event()
        shard.on_status(self._note)

    async def run(self) -> None:
        """Open the doors while this instance leads, for ever."""
        account = self._shard.account
        doors = {evaluate_subject(account, "*"): self._evaluate, state_subject(account, "*"): self._state}
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._shard.leads:
                await self._requests.open(doors)
            elif self._shard.drive.pipeline.status is Status.FOLLOWING:
                await self._requests.close(doors)

    def _note(self, status: Status) -> None:
        self._changed.set()

    def _evaluate(self, subject: str, body: bytes, reply: Callable[[bytes], None]) -> None:
        account, bot = subject.split(".")[3:5]
        try:
            order = parse_order(body, account=account, bot=bot)
        except BadInput as error:
            reply(invalid(account, bot, "nats", error.detail, self._shard.now()))
            return
        deadline_s = (order.deadline_ms or DEADLINE_MS) / 1000
        self._shard.desk.ask(order, bot=bot, door="nats", deadline_s=deadline_s, reply=reply)

    def _state(self, subject: str, body: bytes, reply: Callable[[bytes], None]) -> None:
        bot = subject.split(".")[4]
        reply(json.dumps(self._view(bot)).encode())

    def _view(self, bot: str) -> dict[str, Any]:
        core = self._shard.core
        now = self._shard.now()
        return {
            "account": self._shard.account,
            "bot": bot,
            "mode": self._mode_of(bot),
            "trading_state": core.trading_state,
            "halts": [halt_row(halt, core) for halt in core.halts],
            "constraints": {},
            "commands": [json.loads(encode(command)) for command in core.open_commands(bot, now)],
            "as_of": now.isoformat().replace("+00:00", "Z"),
        }
