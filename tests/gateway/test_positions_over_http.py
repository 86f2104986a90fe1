"""Positions and holds over HTTP: what is shown, and a difference settled by a person (R11)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fleet_chassis.memory_log import MemoryLog
from fleet_contracts import OperatorCommand, RiskState, parse
from parts.http_front import ORDER, Front, opened
from parts.trading import equity, fill


@pytest_asyncio.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with opened(tmp_path) as front:
        yield front


def events(log: MemoryLog) -> list[Any]:
    return [line.event for message in log.messages for line in parse(message.subject, message.body).lines]


async def bound(front: Front) -> None:
    """Put `position_drift_qty: 0` in force."""
    read = await front.get("limits")
    risk = read.json()["risk"]
    body = {"reason": "watch drift", "risk": {**risk, "limits": {**risk["limits"], "position_drift_qty": "0"}}}
    assert (await front.post("limits", body, "approver", **{"If-Match": read.headers["etag"]})).status_code == 200


async def reported(front: Front, qty: str) -> None:
    """The venue shows a position from before."""
    held = [{"symbol": "BTC-PERP", "qty": Decimal(qty), "mark_price": Decimal(40000)}]
    event = equity("10000", datetime.now(UTC), positions=held)
    front.log.store(*event)
    async with asyncio.timeout(5):
        while (known := front.shard.core.state.watched.get("BTC-PERP")) is None or known.reported != Decimal(qty):
            await asyncio.sleep(0.01)


async def reconciled(front: Front, qty: str, name: str = "approver", **headers: str) -> Any:
    body = {"reason": "as at the venue", "symbol": "BTC-PERP", "reported_qty": qty}
    return await front.post("positions/reconcile", body, name, **headers)


async def test_a_position_from_before_is_shown_blocks_entries_and_is_taken_over(front: Front) -> None:
    await bound(front)
    await reported(front, "0.2")
    (row,) = (await front.get("positions")).json()["items"]
    assert (row["qty"], row["reported_qty"], row["difference"], row["drift"]) == ("0", "0.2", "0.2", "STANDS")
    assert (await front.ask(ORDER)).json()["reason"] == "POSITION_DRIFT"
    answer = await reconciled(front, "0.2")
    assert (answer.status_code, answer.json()["previous_qty"], answer.json()["qty"]) == (200, "0", "0.2")
    (row,) = (await front.get("positions")).json()["items"]
    assert (row["qty"], row["exposure"], row["drift"]) == ("0.2", "8000", "NONE")
    assert (await front.ask({**ORDER, "order_id": "b"})).json()["reason"] == "OK"


async def test_the_command_is_recorded_before_the_fact_that_answers_it(front: Front) -> None:
    """Invariant 9: a named person, with a reason, for exactly this quantity."""
    await reported(front, "0.2")
    assert (await reconciled(front, "0.2")).status_code == 200
    told = [event for event in events(front.log) if isinstance(event, OperatorCommand | RiskState)]
    command = next(event for event in told if isinstance(event, OperatorCommand))
    fact = told[told.index(command) + 1]
    assert (command.command, command.by, command.reason) == ("reconcile", "approver", "as at the venue")
    assert command.target == {"symbol": "BTC-PERP", "reported_qty": "0.2"}
    assert fact.cause == command.event_id
    assert fact.model_extra["reconciled"]["qty"] == "0.2"
    assert front.shard.core.state.raising == {}


async def test_another_quantity_than_the_reported_one_changes_nothing(front: Front) -> None:
    await reported(front, "0.2")
    answer = await reconciled(front, "0.3")
    assert (answer.status_code, answer.json()["code"]) == (409, "CHANGED")
    assert not [event for event in events(front.log) if isinstance(event, OperatorCommand)]
    assert front.shard.core.state.exposure.book("BTC-PERP").position == 0


async def test_two_people_at_once_take_it_over_once(front: Front) -> None:
    await reported(front, "0.2")
    answers = await asyncio.gather(*(reconciled(front, "0.2") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert front.shard.core.state.exposure.book("BTC-PERP").position == Decimal("0.2")


async def test_one_key_sent_twice_is_one_reconciliation(front: Front) -> None:
    await reported(front, "0.2")
    answers = [await reconciled(front, "0.2", **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(("name", "status"), [("viewer", 403), ("operator", 403), ("qe1", 403), ("admin", 200)])
async def test_who_may_take_over_a_position(front: Front, name: str, status: int) -> None:
    await reported(front, "0.2")
    assert (await reconciled(front, "0.2", name)).status_code == status


async def test_coverage_stands_in_the_status_and_in_the_metrics(front: Front) -> None:
    await front.ask(ORDER)
    front.log.store(*fill("a", "f", "0.01", "40000", "FILLED"))
    front.log.store(*fill("ungated", "f", "0.01", "40000", "FILLED", symbol="BTC-PERP", side="BUY"))
    async with asyncio.timeout(5):
        while front.shard.core.state.coverage.observed < 2:
            await asyncio.sleep(0.01)
    account = (await front.get("status")).json()["accounts"][0]
    assert (account["coverage"]["observed_fills"], account["coverage"]["ungated_fills"], account["coverage"]["pct"]) == (
        2,
        1,
        "50",
    )
    metrics = (await front.http.get("/metrics")).text
    assert 'gateway_coverage_ratio{account="main"} 0.5' in metrics
    assert 'gateway_gated_fills_total{account="main"} 1.0' in metrics
