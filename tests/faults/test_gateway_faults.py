"""The real gateway and the real NATS, killed in turn under load with limits that bite. Invariants 1 to 5."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from fleet_chassis.log import Message
from parts.gateway import GatewayProcess
from parts.load import Load
from parts.nats import Nats, logs, running
from parts.reckoning import whole_log, witnessed

pytestmark = [pytest.mark.faults, pytest.mark.timeout(100)]


@dataclass
class Scene:
    nats: Nats
    gateway: GatewayProcess
    load: Load

    async def messages(self) -> list[Message]:
        """The whole stream, read by the one user that may."""
        async with logs(self.nats, "fleet-init") as (log,):
            return await whole_log(log)


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(running(tmp_path / "nats"))
        gateway = GatewayProcess(tmp_path / "home", nats)
        stack.callback(gateway.kill)
        gateway.start()
        await gateway.ready()
        client = await stack.enter_async_context(nats.connect("qe1"))
        yield Scene(nats, gateway, Load(gateway, client))


async def test_killing_gateway_and_nats_under_load_breaks_no_invariant(scene: Scene) -> None:
    trading = asyncio.create_task(scene.load.run())
    await asyncio.sleep(2)
    for _ in range(2):
        scene.gateway.kill()
        await asyncio.sleep(0.3)
        scene.gateway.start()
        await scene.gateway.ready()
        await asyncio.sleep(1.5)
        scene.nats.server.kill()
        await asyncio.sleep(1)
        scene.nats.server.start()
        await asyncio.sleep(2.5)
    scene.load.stop()
    await asyncio.wait_for(trading, 10)
    await asyncio.sleep(0.5)

    reasons = scene.load.reasons
    assert reasons["OK"] > 50, reasons
    assert reasons["SYMBOL_NOTIONAL_TOO_LARGE"] > 10, f"the limits did not bite: {reasons}"
    assert reasons["JOURNAL_UNAVAILABLE"] > 0, reasons
    assert not scene.load.errors, "an order at the door got an error instead of an answer"
    witnessed(await scene.messages(), scene.load.allowed)


async def test_while_nats_is_away_orders_are_denied_in_time_and_halting_works(scene: Scene) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        request = {
            "order_id": "x1",
            "symbol": "BTC-PERP",
            "side": "BUY",
            "order_type": "LIMIT",
            "qty": "0.01",
            "price": "40000",
        }
        url = f"{scene.gateway.url}/api/v1"
        scene.nats.server.freeze()
        try:
            answer = await http.post(f"{url}/risk/evaluate", json=request, headers=scene.gateway.headers("qe1"))
            assert (answer.status_code, answer.json()["decision"]) == (200, "DENY")
            assert answer.json()["reason"] == "JOURNAL_UNAVAILABLE"
            assert answer.json()["event_id"] is None
            halted = await http.post(f"{url}/halt", json={"reason": "bus is away"}, headers=scene.gateway.headers("operator"))
            assert halted.status_code == 200
            assert halted.json()["halt"]["recorded"] is False
            assert list((scene.gateway.home.latch / "main").glob("*.json"))
        finally:
            scene.nats.server.thaw()
        async with asyncio.timeout(20):
            while True:
                halts = (await http.get(f"{url}/halts", headers=scene.gateway.headers("viewer"))).json()["items"]
                if halts and halts[0]["recorded"]:
                    break
                await asyncio.sleep(0.1)
        answer = await http.post(
            f"{url}/risk/evaluate", json={**request, "order_id": "x2"}, headers=scene.gateway.headers("qe1")
        )
        assert answer.json()["reason"] == "KILL_SWITCH"


async def test_a_halt_survives_a_kill_before_it_is_recorded(scene: Scene) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        url = f"{scene.gateway.url}/api/v1"
        scene.nats.server.kill()
        halted = await http.post(f"{url}/halt", json={"reason": "stop it"}, headers=scene.gateway.headers("operator"))
        scene.gateway.kill()
        scene.nats.server.start()
        scene.gateway.start()
        await scene.gateway.ready()
        halts = (await http.get(f"{url}/halts", headers=scene.gateway.headers("viewer"))).json()["items"]
        assert [(halt["halt_id"], halt["recorded"]) for halt in halts] == [(halted.json()["halt"]["halt_id"], True)]


async def test_a_full_journal_allows_nothing_and_the_fleet_goes_on_when_there_is_room(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(running(tmp_path / "nats", fleet_bytes_max=200_000))
        gateway = GatewayProcess(tmp_path / "home", nats)
        stack.callback(gateway.kill)
        gateway.start()
        await gateway.ready()
        client = await stack.enter_async_context(nats.connect("qe1"))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=5))
        ask = f"{gateway.url}/api/v1/risk/evaluate"
        order = {"symbol": "BTC-PERP", "side": "BUY", "order_type": "LIMIT", "qty": "0.01", "price": "40000"}
        number = 0
        async with asyncio.timeout(60):
            while True:
                number += 1
                filler = b'{"symbol":"X","side":"BUY","price":1,"qty":1,"pnl":0,"close_reason":"%s"}' % (b"x" * 4000)
                if b"error" in (await client.request("fleet.main.trade.qe1", filler, timeout=2)).data:
                    break
        reasons = []
        for _ in range(30):
            number += 1
            answer = await http.post(ask, json={**order, "order_id": f"o{number}"}, headers=gateway.headers("qe1"))
            reasons.append((answer.status_code, answer.json()["reason"]))
        assert reasons[-1] == (200, "JOURNAL_UNAVAILABLE")
        halted = await http.post(f"{gateway.url}/api/v1/halt", json={"reason": "full"}, headers=gateway.headers("operator"))
        assert halted.json()["halt"]["recorded"] is False
        await nats.provision(10_000_000)
        async with asyncio.timeout(30):
            while True:
                number += 1
                answer = await http.post(ask, json={**order, "order_id": f"o{number}"}, headers=gateway.headers("qe1"))
                if answer.json()["event_id"] is not None:
                    break
                await asyncio.sleep(0.1)
        assert answer.json()["reason"] == "KILL_SWITCH"
