"""What the NATS server refuses to whom, with the rights generated from the registry; and that the rest works.

A refused publish is told only to the client's error callback, after the fact; so each test looks at the streams as well.

One file, though long: who may do what is one table.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import nats.errors
import pytest
import pytest_asyncio

from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.jetstream_api import api
from fleet_chassis.log import NoAnswer, Stored
from fleet_chassis.nats_connection import Client, connected
from fleet_chassis.nkeys_store import make_seed
from fleet_chassis.request_reply import Request, RequestDoor
from fleet_contracts import Stream
from parts.nats import Nats

pytestmark = pytest.mark.real
DECISION = "fleet.main.order_decision.risk-gateway"
EVALUATE = "svc.risk.evaluate.main.qe1"

REFUSED_PUBLISH = {
    "qe1": [
        DECISION,
        "fleet.main.risk_state.risk-gateway",
        "fleet.main.leader.risk-gateway",
        "fleet.main.operator_command.risk-gateway",
        "fleet.main.order_request.qe2",
        "fleet.main.trade.qe2",
        "fleet.main.mark.qe2",
        "fleet.main.heartbeat.qe2",
        "fleet.other.trade.qe1",
        "fleet.fleet.heartbeat.qe1",
        "fleet.main.order_decision.qe1",
        "svc.risk.evaluate.main.qe2",
        "svc.risk.evaluate.other.qe1",
        "svc.control.state.main.qe2",
        "svc.ingest.replay.fleet.qe1",
        "live.fleet.main.order_decision.risk-gateway",
        "dead.ingest.INVALID",
        "$KV.leases.risk-gateway.main",
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.FLEET",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.STREAM.PURGE.FLEET",
        "$JS.API.STREAM.MSG.GET.FLEET",
        "$JS.API.STREAM.MSG.DELETE.FLEET",
        "$JS.API.DIRECT.GET.FLEET",
        "$JS.API.CONSUMER.CREATE.FLEET",
        "$JS.API.CONSUMER.MSG.NEXT.FLEET.ingest",
        "$JS.ACK.FLEET.ingest.1.1.1.1.1",
        "_INBOX.qe2.abc",
        "_INBOX.risk-gateway.abc",
        "_R_.abc",
    ],
    "ingest": [
        "fleet.main.trade.ingest",
        "fleet.main.trade.qe1",
        DECISION,
        "fleet.main.risk_state.risk-gateway",
        "fleet.main.heartbeat.ingest",
        "fleet.fleet.heartbeat.risk-gateway",
        "dead.risk-gateway.INVALID",
        "$KV.leases.risk-gateway.main",
        "$JS.API.STREAM.PURGE.FLEET",
        "$JS.API.STREAM.DELETE.FLEET",
        "$JS.API.STREAM.UPDATE.FLEET",
        "$JS.API.CONSUMER.DELETE.FLEET.ingest",
        EVALUATE,
    ],
    "operator": [
        DECISION,
        "fleet.main.operator_command.risk-gateway",
        "fleet.main.trade.qe1",
        "fleet.fleet.heartbeat.operator",
        "dead.ingest.INVALID",
        "$KV.leases.risk-gateway.main",
        "$JS.API.STREAM.PURGE.FLEET",
        "$JS.API.STREAM.MSG.DELETE.FLEET",
        "$JS.API.STREAM.UPDATE.FLEET",
        "$JS.ACK.FLEET.ingest.1.1.1.1.1",
        EVALUATE,
    ],
    "risk-gateway": [
        "fleet.main.trade.qe1",
        "fleet.main.trade.risk-gateway",
        "fleet.main.order_request.qe1",
        "fleet.main.policy_action.policy-engine",
        "dead.ingest.INVALID",
        "$KV.leases.ingest.main",
        "$JS.API.STREAM.PURGE.FLEET",
        "$JS.API.STREAM.MSG.DELETE.FLEET",
        "$JS.API.STREAM.DELETE.FLEET",
        "$JS.API.STREAM.UPDATE.FLEET",
        "$JS.ACK.FLEET.ingest.1.1.1.1.1",
        "_INBOX.qe1.abc",
    ],
}

REFUSED_SUBSCRIBE = {
    "qe1": [
        "fleet.>",
        "fleet.main.order_request.qe1",
        "fleet.*.*.*",
        ">",
        "_INBOX.>",
        "_INBOX.qe2.>",
        "svc.>",
        EVALUATE,
        "live.fleet.>",
        "live.fleet.main.order_request.qe2",
        "live.fleet.other.risk_state.risk-gateway",
        "$JS.EVENT.>",
    ],
    "ingest": ["fleet.>", "svc.risk.evaluate.main.*", "_INBOX.>", "_INBOX.risk-gateway.>"],
    "operator": ["fleet.>", "svc.risk.evaluate.main.*", "svc.>", "_INBOX.risk-gateway.>"],
    "risk-gateway": ["fleet.>", "fleet.main.order_request.*", "svc.ingest.>", "_INBOX.ingest.>", "_R_.>"],
}


@pytest_asyncio.fixture
async def admin(one_server: Nats) -> AsyncIterator[Client]:
    async with one_server.connect("fleet-init") as client:
        yield client


async def stored(admin: Client) -> dict[str, int]:
    """The last sequence of every stream."""
    found = {}
    for stream in (*Stream, "KV_leases"):
        answer = await api(admin, f"STREAM.INFO.{stream}", {}, 5)
        found[str(stream)] = answer["state"]["last_seq"]
    return found


@asynccontextmanager
async def serving(nats: Nats, handle: Callable[[Request], None]) -> AsyncIterator[RequestDoor]:
    """A door of the gateway at EVALUATE, open, and seen to be by a request."""
    async with nats.connect("risk-gateway") as client, nats.connect("fleet-init") as asker:
        door = RequestDoor(client, "svc.risk.evaluate.main.*", handle)
        door.open()
        running = asyncio.create_task(door.run())
        async with asyncio.timeout(5):
            while not door.refused:
                await asker.publish(EVALUATE, b"knock", reply="nowhere")
                await asyncio.sleep(0.01)
        await asker.rtt(5)
        await client.rtt(5)
        door.refused = 0
        yield door
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def refusals(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records).lower()


@pytest.mark.parametrize("user", REFUSED_PUBLISH)
async def test_nobody_publishes_what_is_not_his(
    one_server: Nats, admin: Client, caplog: pytest.LogCaptureFixture, user: str
) -> None:
    before = await stored(admin)
    async with one_server.connect(user) as client:
        for subject in REFUSED_PUBLISH[user]:
            await client.publish(subject, b"{}", reply=f"_INBOX.{user}.none")
        await client.rtt(5)
    said = refusals(caplog)
    for subject in REFUSED_PUBLISH[user]:
        assert f'permissions violation for publish to "{subject.lower()}"' in said, subject
    assert await stored(admin) == before


@pytest.mark.parametrize("user", REFUSED_SUBSCRIBE)
async def test_nobody_subscribes_what_is_not_for_him(one_server: Nats, caplog: pytest.LogCaptureFixture, user: str) -> None:
    async def ignore(_: object) -> None: ...

    async with one_server.connect(user) as client:
        for subject in REFUSED_SUBSCRIBE[user]:
            await client.subscribe(subject, cb=ignore)
        async with asyncio.timeout(5):
            while refusals(caplog).count("permissions violation") < len(REFUSED_SUBSCRIBE[user]):
                await client.rtt(5)
    said = refusals(caplog)
    for subject in REFUSED_SUBSCRIBE[user]:
        assert f'permissions violation for subscription to "{subject.lower()}"' in said, subject


async def test_a_stranger_and_a_user_without_a_key_cannot_connect(one_server: Nats, tmp_path: Path) -> None:
    make_seed(tmp_path / "stranger.nk")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), connected(one_server.url, "qe1", tmp_path / "stranger.nk"):
            pass
    reader, writer = await asyncio.open_connection("127.0.0.1", one_server.server.settings.port)
    writer.write(b"CONNECT {}\r\nPING\r\n")
    async with asyncio.timeout(5):
        said = await reader.read()
    assert b"-ERR 'Authorization Violation'" in said
    writer.close()
    await writer.wait_closed()


async def test_what_a_bot_publishes_is_stored_with_an_acknowledgement(one_server: Nats, admin: Client) -> None:
    async with one_server.connect("qe1") as client:
        for event, stream in (("trade", "FLEET"), ("heartbeat", "HEARTBEAT"), ("mark", "MARKET")):
            ack = json.loads((await client.request(f"fleet.main.{event}.qe1", b'{"qty":"1"}', timeout=5)).data)
            assert ack["stream"] == stream
            log = JetStreamLog(admin, stream)
            message = await log.get(ack["seq"], timeout_s=5)
            assert message is not None
            assert (message.subject, message.body) == (f"fleet.main.{event}.qe1", b'{"qty":"1"}')


async def test_a_bots_message_of_a_megabyte_is_stored(one_server: Nats) -> None:
    async with one_server.connect("qe1") as client:
        line = b'{"signal_id":"' + b"x" * 60_000 + b'"}\n'
        ack = json.loads((await client.request("fleet.main.signal_context.qe1", line * 16, timeout=5)).data)
        assert ack["stream"] == "FLEET"


@pytest.mark.parametrize("subject", ["fleet.main.trade.qe1", EVALUATE])
async def test_a_decision_subject_as_reply_stores_nothing_there(one_server: Nats, admin: Client, subject: str) -> None:
    answered = asyncio.Event()

    def answer(request: Request) -> None:
        request.answer(b'{"decision":"ALLOW"}')
        answered.set()

    async with serving(one_server, answer), one_server.connect("qe1") as bot:
        log = JetStreamLog(admin, "FLEET")
        before = await log.last(DECISION, timeout_s=5)
        trades = await log.last("fleet.main.trade.qe1", timeout_s=5)
        await bot.publish(subject, b"{}", reply=DECISION)
        async with asyncio.timeout(5):
            if subject == EVALUATE:
                await answered.wait()
            else:
                while await log.last(subject, timeout_s=5) == trades:
                    await asyncio.sleep(0.01)
        await bot.request(EVALUATE, b"{}", timeout=5)  # whatever came of the first one has arrived by now
        assert await log.last(DECISION, timeout_s=5) == before


async def test_a_bots_request_reaches_the_leader_and_comes_back(one_server: Nats) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> None:
        asked.append(request)
        request.answer(b"answer to " + request.body)
        request.answer(b"only the first counts")

    async with serving(one_server, answer) as door, one_server.connect("qe1") as bot:
        replies = await asyncio.gather(*(bot.request(EVALUATE, b"%d" % n, timeout=5) for n in range(200)))
        assert [reply.data for reply in replies] == [b"answer to %d" % n for n in range(200)]
        assert {request.subject for request in asked} == {EVALUATE}
        door.close()
        await until(bot, listens=False)
        door.open()
        await until(bot, listens=True)


async def until(bot: Client, *, listens: bool) -> None:
    """Ask until somebody listens, or nobody does. What is on its way while a door closes is left unanswered."""
    async with asyncio.timeout(5):
        while True:
            try:
                answer: object = await bot.request(EVALUATE, b"x", timeout=0.2)
            except nats.errors.NoRespondersError:
                answer = None
            except nats.errors.TimeoutError:
                continue
            if (answer is not None) is listens:
                return


async def test_a_door_answers_no_reply_subject_that_is_not_an_askers_own(one_server: Nats, admin: Client) -> None:
    heard: list[Request] = []

    async with serving(one_server, heard.append) as door:
        before = await stored(admin)
        await admin.publish(EVALUATE, b"{}", reply=DECISION)
        await admin.publish(EVALUATE, b"{}")
        async with asyncio.timeout(5):
            while door.refused < 2:
                await asyncio.sleep(0.01)
        assert not heard
        assert await stored(admin) == before


async def test_a_door_whose_handler_raises_ends_its_service(one_server: Nats) -> None:
    def broken(_: Request) -> None:
        raise KeyError("impossible")

    async with one_server.connect("risk-gateway") as gateway, one_server.connect("qe1") as bot:
        door = RequestDoor(gateway, EVALUATE, broken)
        door.open()
        running = asyncio.create_task(door.run())
        async with asyncio.timeout(5):
            while not running.done():
                await bot.publish(EVALUATE, b"{}", reply="_INBOX.qe1.none")
                await asyncio.sleep(0.02)
        with pytest.raises(KeyError, match="impossible"):
            await running


async def test_the_live_view_of_a_stored_decision_reaches_the_bot(one_server: Nats) -> None:
    seen: asyncio.Queue[tuple[str, bytes, dict[str, str]]] = asyncio.Queue()

    async def take(message: object) -> None:
        await seen.put((message.subject, message.data, message.headers))  # type: ignore[attr-defined]

    async with one_server.connect("risk-gateway") as gateway, one_server.connect("qe1") as bot:
        await bot.subscribe(f"live.{DECISION}", cb=take)
        await bot.rtt(5)
        log = JetStreamLog(gateway, "FLEET")
        await log.open()
        async with asyncio.timeout(5):
            while seen.empty():
                outcome = await log.append(DECISION, b'{"x":1}', headers={"Fleet-Leader": "gw.1"}, timeout_s=5)
                assert isinstance(outcome, Stored)
                await asyncio.sleep(0.02)
            subject, body, headers = await seen.get()
        assert (subject, body, headers["Fleet-Leader"]) == (f"live.{DECISION}", b'{"x":1}', "gw.1")


async def test_an_append_a_user_may_not_make_has_no_answer(one_server: Nats, admin: Client) -> None:
    async with one_server.connect("ingest") as client:
        log = JetStreamLog(client, "FLEET")
        await log.open()
        before = await stored(admin)
        assert await log.append("fleet.main.trade.qe1", b"{}", timeout_s=0.3) == NoAnswer()
        assert await stored(admin) == before
