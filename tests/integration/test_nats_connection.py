"""A connection of the chassis: closed whatever ends its owner, and no cancellation lost on the way."""

import asyncio

import pytest

from fleet_chassis.nats_connection import Client, heeding
from parts.nats import Nats


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
