"""A wire between the bot and the bus that can be cut: the bus partition of the scenarios.

While cut, nothing passes and nothing is closed, as when packets are dropped: what was on its way arrives when the wire is
whole again, or is lost with its connection.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

_CHUNK = 64 * 1024
_CONNECT_S = 3.0


class Relay:
    """Passes TCP from a port of its own on 127.0.0.1 to `host:port`. Use `open_relay`."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> asyncio.Server:
        """Listen."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        return server

    @property
    def is_cut(self) -> bool:
        return not self._whole.is_set()

    def cut(self) -> None:
        """From now on nothing passes."""
        self._whole.clear()

    def mend(self) -> None:
        """Everything passes again."""
        self._whole.set()

    async def cut_for(self, seconds: float) -> None:
        """A partition of so many seconds."""
        self.cut()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.mend()

    async def close(self) -> None:
        """Drop every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, TimeoutError):
            await self._whole.wait()
            async with asyncio.timeout(_CONNECT_S):
                there, back = await asyncio.open_connection(self._host, self._port)
            await self._join(reader, writer, there, back)
        writer.close()

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        ways = [asyncio.create_task(self._pass(reader, back)), asyncio.create_task(self._pass(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            back.close()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(_CHUNK):
            await self._whole.wait()
            sink.write(data)
            await sink.drain()


@contextlib.asynccontextmanager
async def open_relay(url: str) -> AsyncIterator[Relay]:
    """A relay to the first server of a NATS address `nats://host:port[,…]`."""
    host, _, port = url.split(",")[0].removeprefix("nats://").rpartition(":")
    relay = Relay(host, int(port))
    server = await relay.start()
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CONNECT_S):
                await server.wait_closed()
