"""What a follower is asked over HTTP, it asks the leader over NATS, and gives back what that answers (R13).

Only the leader listens at the request door, so the server itself says at once when there is none. Every order is answered
within its deadline: with the leader's decision, or DENY NO_LEADER, which is no decision: the order may be asked again.
"""

import asyncio
import itertools
from collections.abc import Callable

from fleet_chassis.nats_client import Client, header_block
from fleet_chassis.nats_connection import send_now
from fleet_contracts.subjects import evaluate_subject

DEADLINE_HEADER = "X-Deadline-Ms"
"""How long the asker waits, in milliseconds; the same name as over HTTP."""
ON_THE_WAY_MAX = 4096
"""Orders that wait for the leader; more are answered NO_LEADER at once."""

Reply = Callable[[bytes], None]


class Forward:
    """`open()` it once connected; `ask` says False when the leader cannot be asked."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._inbox = ""
        self._numbers = itertools.count()
        self._asked: dict[str, _Asked] = {}

    async def open(self, client: Client) -> None:
        """Hear the leader's answers."""
        self._inbox = client.new_inbox()
        await client.listen(f"{self._inbox}.*", self._on_answer)
        self._client = client

    def ask(self, account: str, bot: str, body: bytes, deadline_s: float, reply: Reply, refuse: Callable[[], None]) -> bool:
        """Send an order on. Then either `reply` gets the answer's bytes or `refuse` is called, once, within `deadline_s`."""
        client = self._client
        if client is None or len(self._asked) >= ON_THE_WAY_MAX:
            return False
        number = str(next(self._numbers))
        headers = header_block({DEADLINE_HEADER: str(max(1, round(deadline_s * 1000)))})
        if not send_now(client, evaluate_subject(account, bot), body, f"{self._inbox}.{number}", headers):
            return False
        timer = asyncio.get_running_loop().call_later(deadline_s, self._give_up, number)
        self._asked[number] = _Asked(reply, refuse, timer)
        return True

    def _give_up(self, number: str) -> None:
        asked = self._asked.pop(number, None)
        if asked is not None:
            asked.refuse()

    def _on_answer(self, subject: str, reply: str, body: bytes, headers: bytes) -> None:
        asked = self._asked.pop(subject.rpartition(".")[2], None)
        if asked is None:
            return
        asked.timer.cancel()
        if body:
            asked.reply(body)
        else:
            asked.refuse()  # the server: nobody listens


class _Asked:
    """An order on its way to the leader."""

    __slots__ = ("refuse", "reply", "timer")

    def __init__(self, reply: Reply, refuse: Callable[[], None], timer: asyncio.TimerHandle) -> None:
        self.reply, self.refuse, self.timer = reply, refuse, timer
