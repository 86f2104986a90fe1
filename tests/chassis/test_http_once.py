"""One write a response, on the real server: what a client sees is what plain ASGI would have shown it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fleet_chassis import http_once
from fleet_chassis.http_app import serve
from fleet_chassis.http_once import send_json

BODY = b'{"answer":1}'
ASK = b"POST /x HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n{}"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send_json(send, BODY)


@pytest_asyncio.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    file = tmp_path / "port"
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, file))
    async with asyncio.timeout(10):
        while not file.exists() or not file.read_text():
            await asyncio.sleep(0.01)
    yield int(file.read_text())
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def talk(port: int, *sent: bytes) -> bytes:
    """Send these pieces on one connection; everything that comes back until it is silent or closed."""
    async with asyncio.timeout(10):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
    heard = b""
    for piece in sent:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.05)
    while True:
        try:
            async with asyncio.timeout(0.3):
                more = await reader.read(65536)
        except TimeoutError:
            break
        if not more:
            break
        heard += more
    writer.close()
    await writer.wait_closed()
    return heard


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n"
REQUESTS = {
    "one": (ASK,),
    "one after the other on one connection": (ASK, ASK),
    "pipelined": (ASK + ASK + ASK,),
    "in pieces": (ASK[:20], ASK[20:-1], ASK[-1:]),
    "closing": (ASK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"),),
    "expecting": (ASK.replace(b"\r\n\r\n{}", b"\r\nexpect: 100-continue\r\n\r\n"), b"{}"),
    "old": (ASK.replace(b"HTTP/1.1", b"HTTP/1.0"),),
}


@pytest.mark.parametrize("kind", REQUESTS)
async def test_a_client_sees_what_plain_asgi_would_show(port: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    once = await talk(port, *REQUESTS[kind])
    monkeypatch.setattr(http_once, "_plain_cycle", lambda send: None)
    assert once == await talk(port, *REQUESTS[kind])
    assert once.count(HEAD) == sum(piece.count(b"POST") for piece in REQUESTS[kind])


async def test_a_client_that_left_harms_nobody(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASK)
    writer.transport.abort()
    assert (await talk(port, ASK)).endswith(BODY)
