"""One bot that asks for what takes long makes no other wait: deadlines and `after_seq` are a bot's own choice."""

import asyncio
import json
from pathlib import Path

from fleet_contracts import parse_order
from parts.http_front import ORDER, Front, opened
from risk_gateway.core.admission import Rate
from risk_gateway.desk import LATER_OF_A_BOT_MAX, WAITING_MAX

FAR = 10**15
ENOUGH = Rate(1e6, 1e6)


def asked(front: Front, bot: str, order_id: str, deadline_s: float, **more: int) -> "asyncio.Future[str]":
    """The reason of the answer."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    body = json.dumps({**ORDER, "order_id": order_id, **more}).encode()
    order = parse_order(body, account="main", bot=bot)

    def reply(told: bytes) -> None:
        answer.set_result(json.loads(told)["reason"])

    front.shard.desk.ask(order, bot=bot, door="nats", deadline_s=deadline_s, reply=reply)
    return answer


async def test_orders_that_wait_for_a_sequence_to_come_crowd_out_no_other_bot(tmp_path: Path) -> None:
    async with opened(tmp_path, rate=ENOUGH) as front:
        waiting = [asked(front, "qe9", f"w{number}", 60, after_seq=FAR) for number in range(WAITING_MAX + 1)]
        assert sum(answer.done() for answer in waiting) == WAITING_MAX + 1 - LATER_OF_A_BOT_MAX
        assert {answer.result() for answer in waiting if answer.done()} == {"OVERLOADED"}
        assert await asked(front, "qe1", "mine", 30) == "OK"


async def test_a_bot_whose_waiting_orders_have_been_answered_may_ask_again(tmp_path: Path) -> None:
    async with opened(tmp_path, rate=ENOUGH) as front:
        waiting = [asked(front, "qe1", f"w{number}", 0.05, after_seq=FAR) for number in range(LATER_OF_A_BOT_MAX)]
        assert await asked(front, "qe1", "early", 30) == "OVERLOADED"
        assert set(await asyncio.gather(*waiting)) == {"JOURNAL_UNAVAILABLE"}
        async with asyncio.timeout(5):
            while await asked(front, "qe1", "again", 30) == "OVERLOADED":
                await asyncio.sleep(0.01)
