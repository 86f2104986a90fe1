"""The gateway's two doors on NATS, with nothing but JSON on a connection of the bot's: answers, and input of every bad kind."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from fleet_chassis.nats_connection import Client
from parts.gateway import GatewayProcess
from parts.nats import Nats, started

pytestmark = pytest.mark.real
DOOR = "svc.risk.evaluate.main.qe1"
EVENTS = "fleet.main.order_request.qe1"
ORDER = {"symbol": "BTC-PERP", "side": "BUY", "order_type": "LIMIT", "qty": "0.001", "price": "43000"}


@dataclass
class Bot:
    """A bot that speaks plain NATS."""

    client: Client
    decisions: "asyncio.Queue[dict[str, Any]]"

    async def ask(self, body: bytes | dict[str, Any]) -> dict[str, Any]:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer: dict[str, Any] = json.loads((await self.client.request(DOOR, sent, timeout=5)).data)
        return answer

    async def publish(self, *lines: bytes | dict[str, Any]) -> None:
        await self.client.publish(EVENTS, b"\n".join(x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines))

    async def decided(self, order_id: str) -> dict[str, Any]:
        """The decision of an order as the live view shows it; what comes before it is passed over."""
        async with asyncio.timeout(5):
            while (decision := await self.decisions.get())["order_id"] != order_id:
                pass
        return decision


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Nats, GatewayProcess]]:
    folder = tmp_path_factory.mktemp("doors")
    with started(folder / "nats") as nats:
        process = GatewayProcess(folder / "home", nats)
        try:
            process.start()
            asyncio.run(process.ready())
            yield nats, process
        finally:
            process.kill()


@pytest_asyncio.fixture
async def bot(gateway: tuple[Nats, GatewayProcess]) -> AsyncIterator[Bot]:
    nats, _ = gateway
    async with nats.connect("qe1") as client:
        decisions: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def hear(message: Any) -> None:
            for line in message.data.splitlines():
                decisions.put_nowait(json.loads(line))

        await client.subscribe("live.fleet.main.order_decision.risk-gateway", cb=hear)
        await client.publish("fleet.main.equity.qe1", b'{"equity": "10000"}')
        await client.flush()
        yield Bot(client, decisions)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Order ids of this test's own."""
    test = zlib.crc32(request.node.name.encode())
    return lambda suffix: f"{test}-{suffix}"


async def test_a_bare_json_publish_gets_its_decision(bot: Bot, name: Callable[[str], str]) -> None:
    await bot.publish({**ORDER, "order_id": name("a")})
    decision = await bot.decided(name("a"))
    assert (decision["decision"], decision["reason"], decision["door"]) == ("ALLOW", "OK", "event")
    assert decision["bot"] == "qe1"
    assert decision["cause"].startswith("FLEET-")


async def test_one_order_asked_at_two_doors_is_decided_once(bot: Bot, name: Callable[[str], str]) -> None:
    first = await bot.ask({**ORDER, "order_id": name("a")})
    await bot.publish({**ORDER, "order_id": name("a")}, {**ORDER, "order_id": name("b")})
    again = await bot.ask({**ORDER, "order_id": name("a")})
    assert (first["duplicate"], again["duplicate"], again["event_id"]) == (False, True, first["event_id"])
    await bot.decided(name("a"))
    after = await bot.decided(name("b"))
    assert after["order_id"] == name("b"), "the second door's copy was decided anew"


BAD = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b"\xff\xfe",
    "no object": b"[]",
    "deeply nested": b"[" * 50_000,
    "no fields": b"{}",
    "NaN": b'{"order_id": "bad", "qty": NaN}',
    "NaN as text": json.dumps({**ORDER, "order_id": "bad", "qty": "NaN"}).encode(),
    "infinite": json.dumps({**ORDER, "order_id": "bad", "price": "Infinity"}).encode(),
    "negative": json.dumps({**ORDER, "order_id": "bad", "qty": "-1"}).encode(),
    "forty digits": json.dumps({**ORDER, "order_id": "bad", "qty": "1" * 40}).encode(),
    "wrong type": json.dumps({**ORDER, "order_id": "bad", "qty": [1]}).encode(),
    "another bot's source": json.dumps({**ORDER, "order_id": "bad", "source": "qe2"}).encode(),
    "another account": json.dumps({**ORDER, "order_id": "bad", "account": "other"}).encode(),
    "too large": json.dumps({**ORDER, "order_id": "bad", "note": "x" * 70_000}).encode(),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_request_is_denied_as_one_and_the_next_is_answered(bot: Bot, name: Callable[[str], str], kind: str) -> None:
    answer = await bot.ask(BAD[kind])
    assert (answer["decision"], answer["reason"], answer["event_id"]) == ("DENY", "INVALID_REQUEST", None)
    assert answer["message"]
    assert (await bot.ask({**ORDER, "order_id": name("next"), "qty": "0.001"}))["decision"] in ("ALLOW", "DENY")


async def test_bad_lines_at_the_event_door_stop_nothing_and_take_no_neighbour_along(
    bot: Bot, name: Callable[[str], str]
) -> None:
    await bot.publish(*BAD.values(), {**ORDER, "order_id": name("good"), "qty": "0.001"})
    decision = await bot.decided(name("good"))
    assert decision["door"] == "event"


async def test_an_order_event_from_the_past_is_denied_as_expired(bot: Bot, name: Callable[[str], str]) -> None:
    await bot.publish({**ORDER, "order_id": name("old"), "ts": "2026-01-01T00:00:00Z"})
    assert (await bot.decided(name("old")))["reason"] == "REQUEST_EXPIRED"


@pytest.mark.parametrize("waits", ["²", "٣", "1²", "-1", "1e3", ""])
async def test_no_header_of_a_bot_stops_the_gateway(
    waits: str, bot: Bot, gateway: tuple[Nats, GatewayProcess], name: Callable[[str], str]
) -> None:
    asked = json.dumps({**ORDER, "order_id": name("a")}).encode()
    answer = await bot.client.request(DOOR, asked, timeout=5, headers={"X-Deadline-Ms": waits})
    assert json.loads(answer.data)["order_id"] == name("a")
    assert gateway[1].process is not None
    assert gateway[1].process.poll() is None
    assert (await bot.ask({**ORDER, "order_id": name("b")}))["order_id"] == name("b")
