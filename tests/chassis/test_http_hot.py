"""The hot route on the real server: what a client sees is what plain ASGI would have shown it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fleet_chassis.http_app import serve
from fleet_chassis.http_hot import Headers, HotProtocol, Refused, Reply, hot_protocol

BODY = b'{"answer":1}'
ASK = b"POST /x HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n{}"
OTHER = ASK.replace(b"/x", b"/y")
BYTES_MAX = 100
asked: list[bytes] = []


def handle(headers: Headers, body: bytes, reply: Reply) -> None:
    """Answers a turn of the loop later, so that others may come between."""
    asked.append(body)
    if body == b"no":
        raise Refused(422, [(b"content-type", b"text/plain")], b"sorry")
    if body == b"??":
        raise RuntimeError("a programmer's error")
    if len(body) > BYTES_MAX:
        raise Refused(413, [(b"connection", b"close")], b"")
    if body == b"[]":
        reply(b"at once")
    else:
        asyncio.get_running_loop().call_later(1.5 if body == b".." else 0.01, reply, BODY)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The same answers through ASGI."""
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    status, headers, answer = 200, [(b"content-type", b"application/json")], BODY
    if body == b"no":
        status, headers, answer = 422, [(b"content-type", b"text/plain")], b"sorry"
    await asyncio.sleep(0.01)
    await send(
        {"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"%d" % len(answer))]}
    )
    await send({"type": "http.response.body", "body": answer})


@asynccontextmanager
async def served(folder: Path, **more: Any) -> AsyncIterator[int]:
    file = folder / "port"
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, file, **more))
    async with asyncio.timeout(10):
        while not file.exists() or not file.read_text():
            await asyncio.sleep(0.01)
    try:
        yield int(file.read_text())
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest_asyncio.fixture
async def hot(tmp_path: Path) -> AsyncIterator[int]:
    asked.clear()
    async with served(tmp_path, protocol=hot_protocol("/x", handle, BYTES_MAX)) as port:
        yield port


@pytest_asyncio.fixture
async def plain(tmp_path: Path) -> AsyncIterator[int]:
    async with served(tmp_path / "plain") as port:
        yield port


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


REQUESTS = {
    "one": (ASK,),
    "one after the other on one connection": (ASK, ASK),
    "pipelined": (ASK + ASK + ASK,),
    "pipelined among others": (OTHER + ASK + OTHER + ASK,),
    "others behind it": (ASK + OTHER, ASK),
    "in pieces": (ASK[:20], ASK[20:-1], ASK[-1:]),
    "closing": (ASK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"),),
    "expecting": (ASK.replace(b"\r\n\r\n{}", b"\r\nexpect: 100-continue\r\n\r\n"), b"{}"),
    "old": (ASK.replace(b"HTTP/1.1", b"HTTP/1.0"),),
    "chunked": (
        ASK.replace(b"content-length: 2\r\n\r\n{}", b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
    ),
    "refused": (ASK.replace(b"{}", b"no"), ASK),
    "another method": (ASK.replace(b"POST", b"PUT"),),
    "with a query": (ASK.replace(b"/x", b"/x?a=1"),),
    "bad": (b"nonsense\r\n\r\n",),
}


@pytest.mark.parametrize("kind", REQUESTS)
async def test_a_client_sees_what_plain_asgi_would_show(hot: int, plain: int, kind: str) -> None:
    seen = await talk(hot, *REQUESTS[kind])
    assert seen == await talk(plain, *REQUESTS[kind])
    assert seen.count(b"HTTP/1.1 ") - seen.count(b"100 Continue") == max(
        1, sum(piece.count(b"POST") for piece in REQUESTS[kind])
    )


async def test_a_plain_request_never_meets_asgi(hot: int) -> None:
    await talk(hot, ASK, ASK)
    assert asked == [b"{}", b"{}"]


@pytest.mark.parametrize("slow", [ASK, OTHER])
async def test_a_quick_answer_never_overtakes_the_one_before_it(hot: int, slow: bytes) -> None:
    quick = ASK.replace(b"{}", b"[]")
    seen = await talk(hot, slow + quick + slow)
    assert seen.count(BODY) == 3  # what is pipelined behind an open request goes through ASGI, in its turn
    assert b"at once" not in seen
    assert b"at once" in await talk(hot, quick)


async def test_a_client_that_left_harms_nobody(hot: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", hot)
    writer.write(ASK)
    async with asyncio.timeout(10):
        while not asked:
            await asyncio.sleep(0)
    writer.transport.abort()
    assert (await talk(hot, ASK)).endswith(BODY)


async def test_a_programmer_s_error_is_a_500_and_the_end_of_the_connection(hot: int) -> None:
    assert (await talk(hot, ASK.replace(b"{}", b"??"))).startswith(b"HTTP/1.1 500 ")


async def test_a_body_over_the_limit_is_refused_before_it_is_whole(hot: int) -> None:
    assert (await talk(hot, ASK.replace(b": 2", b": 999999") + b"x" * 200)).startswith(b"HTTP/1.1 413 ")
    assert len(asked[0]) < 1000


async def test_an_idle_connection_is_closed_and_one_that_waits_for_its_answer_is_not(
    hot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = HotProtocol.connection_made

    def hurried(self: HotProtocol, transport: Any) -> None:
        connect(self, transport)
        self.timeout_keep_alive = 1

    monkeypatch.setattr(HotProtocol, "connection_made", hurried)
    reader, writer = await asyncio.open_connection("127.0.0.1", hot)
    async with asyncio.timeout(20):
        for ask in (ASK, ASK.replace(b"{}", b"..")):
            writer.write(ask)
            assert (await reader.readuntil(BODY)).endswith(BODY)
        assert await reader.read() == b""
    writer.close()


def test_every_connection_s_class_knows_its_own_route() -> None:
    made = hot_protocol("/a", handle, 1)
    assert (made.path, made.bytes_max) == (b"/a", 1)
    assert issubclass(made, HotProtocol)
