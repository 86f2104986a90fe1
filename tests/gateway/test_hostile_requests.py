"""Requests that say what only a decision says: nothing a bot sends ends the gateway, or leaves it without an answer."""

import asyncio
import json
from pathlib import Path

import pytest

from fleet_chassis.clock import wall_clock
from fleet_chassis.memory_log import MemoryLog
from fleet_contracts import OrderDecision, OrderRequest, event_subject, parse_order
from parts.http_front import ORDER, Front, opened
from risk_gateway.core.admission import Rate

DECIDED = sorted(set(OrderDecision.model_fields) - set(OrderRequest.model_fields))
NONSENSE = ("soon", 1.5, [], {"a": None}, "0001-01-01T00:00:00Z")


async def answer_of(front: Front, deadline_s: float, **fields: object) -> dict[str, object]:
    told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    order = parse_order(json.dumps(ORDER | fields).encode(), account="main", bot="qe1")
    front.shard.desk.ask(order, bot="qe1", door="nats", deadline_s=deadline_s, reply=told.set_result)
    async with asyncio.timeout(10):
        found: dict[str, object] = json.loads(await told)
    return found


@pytest.mark.filterwarnings("error")
async def test_no_decision_takes_nothing_that_only_a_decision_says_from_the_request(tmp_path: Path) -> None:
    async with opened(tmp_path, rate=Rate(1e6, 1e6)) as front:
        for name in DECIDED:
            for number, value in enumerate(NONSENSE):
                fields = {"order_id": f"{name}-{number}", "after_seq": 10**15, name: value}
                answer = await answer_of(front, 0.001, **fields)
                assert (answer["reason"], answer["bot"]) == ("JOURNAL_UNAVAILABLE", "qe1")


async def test_an_order_whose_deadline_passes_on_its_way_does_not_end_the_leader(tmp_path: Path) -> None:
    async with opened(tmp_path) as front:
        late = [answer_of(front, 1e-9, order_id=f"late-{number}", valid_until="soon") for number in range(20)]
        assert {answer["reason"] for answer in await asyncio.gather(*late)} == {"JOURNAL_UNAVAILABLE"}
        assert (await answer_of(front, 30, order_id="next", valid_until="soon"))["reason"] == "OK"
        assert front.shard.leads


async def test_questions_that_were_left_open_are_answered_in_groups_before_anybody_is_served(tmp_path: Path) -> None:
    """One append for each of them would make a take-over as long as the bots please."""
    log = MemoryLog(wall_clock, idle_s=0.05)
    for number in range(200):
        log.store(event_subject("main", "ORDER_REQUEST", "qe1"), json.dumps(ORDER | {"order_id": f"q{number}"}).encode())
    async with opened(tmp_path, log=log) as front:
        assert not front.shard.core.state.questions
        assert sum(front.shard.core.state.decided.values()) == 200
        assert sum(".order_decision." in message.subject for message in log.messages) <= 20
