"""A connection of the chassis: closed whatever ends its owner, and no cancellation lost on the way."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.errors import OutboundBufferLimitError

from fleet_chassis.nats_connection import Client, has_room, heeding
from parts.nats import Nats, started


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Nats]:
    """A server that a test may kill and freeze."""
    with started(tmp_path) as nats:
        yield nats


@pytest.mark.real
async def test_a_cancelled_owner_leaves_no_connection_behind(one_server: Nats) -> None:
    """An open one would keep its pull requests at the server, and messages would go to nobody."""
    opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()

    async def own() -> None:
        async with one_server.connect("ingest") as client:
            opened.set_result(client)
            await asyncio.Event().wait()

    task = asyncio.create_task(own())
    client = await opened
    task.cancel()
    await asyncio.wait([task])
    assert client.is_closed


async def _swallow() -> str:
    """What `asyncio.wait_for` of Python 3.11 does when its answer and a cancellation come together."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "an answer"
    raise AssertionError("unreachable")


async def test_a_cancellation_that_the_client_swallows_is_heeded() -> None:
    task = asyncio.create_task(heeding(_swallow()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_what_runs_because_of_an_earlier_cancellation_goes_on() -> None:
    async def own() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return await heeding(asyncio.sleep(0, "closed"))
        raise AssertionError("unreachable")

    task = asyncio.create_task(own())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "closed"


@pytest.mark.real
async def test_a_listener_hears_everything_in_order_and_large_messages_whole(one_server: Nats) -> None:
    heard: list[bytes] = []
    bodies = [bytes([number % 251]) * (number * 4001 % 900_000) for number in range(60)]
    async with one_server.connect("fleet-init") as client:
        listening = await client.listen("fleet-init.test.*", lambda subject, reply, body, headers: heard.append(body))
        for body in bodies:
            while not has_room(client):
                await asyncio.sleep(0.01)
            client.send("fleet-init.test.a", body)
        await client.flush()
        assert heard == bodies
        await listening.stop()
        client.send("fleet-init.test.a", b"late")
        await client.flush()
        assert heard == bodies


@pytest.mark.real
async def test_a_listener_hears_again_after_the_server_was_restarted(own_server: Nats) -> None:
    heard: list[bytes] = []
    async with own_server.connect("fleet-init") as client:
        await client.listen("fleet-init.test.*", lambda subject, reply, body, headers: heard.append(body))
        own_server.server.kill()
        own_server.server.start()
        async with asyncio.timeout(20):
            while not heard:
                if client.is_connected:
                    client.send("fleet-init.test.a", b"again")
                await asyncio.sleep(0.05)
    assert set(heard) == {b"again"}


@pytest.mark.real
async def test_there_is_no_room_while_the_server_does_not_read(own_server: Nats) -> None:
    async with own_server.connect("fleet-init") as client:
        own_server.server.freeze()
        try:
            for _ in range(200):
                if not has_room(client):
                    break
                client.send("fleet-init.test.a", bytes(500_000))
                await asyncio.sleep(0)
            assert not has_room(client)
        finally:
            own_server.server.thaw()


async def test_what_cannot_be_sent_is_said_at_once() -> None:
    """Nothing is kept for later: a stale message would be worse than none."""
    with pytest.raises(OutboundBufferLimitError):
        Client().send("fleet.main.trade.qe1", b"{}")
