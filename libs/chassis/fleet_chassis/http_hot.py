"""A hot route in the HTTP protocol itself: bytes in, one write out, no ASGI between.

ASGI makes a scope, a task and two writes of every request; that costs more than a decision. A plain POST to the hot path
(HTTP/1.1, keep-alive, nothing before it unanswered) is handed to a function as soon as its body is there; everything else
goes uvicorn's ordinary way, also to the same path. It leans on uvicorn's own protocol, whose version is pinned.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_log = logging.getLogger(__name__)

Headers = Sequence[tuple[bytes, bytes]]
Reply = Callable[[bytes], None]
"""Takes a JSON body for a 200, now or later, once. Never raises: the client may be gone."""


class Refused(Exception):
    """Any other answer than 200: raised by the handler before it returns."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(status)
        self.status, self.headers, self.body = status, headers, body


Handler = Callable[[Headers, bytes, Reply], None]
"""Answers one request through the reply, or raises `Refused`."""


class _Nobody:
    """Nobody waits for the events of a hot request."""

    def set(self) -> None: ...


_NOBODY = _Nobody()


class _HotCycle:
    """One request in hand; to the protocol's other parts it looks like any of its cycles."""

    __slots__ = ("body", "disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self) -> None:
        self.body = b""
        self.keep_alive = True
        self.disconnected = self.response_complete = False
        self.message_event = _NOBODY


class HotProtocol(HttpToolsProtocol):
    """One connection. `path`, `handler`, `bytes_max` belong to a subclass (see `hot_protocol`)."""

    path: ClassVar[bytes]
    handler: ClassVar[Handler]
    bytes_max: ClassVar[int]
    cycle: Any

    _rested: float | None = None
    """Since when nothing is asked; None while something is."""
    _look: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        self._rested = None
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        cycle = self.cycle
        if (
            self.url == self.path
            and (cycle is None or cycle.response_complete)
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not (self.expect_100_continue or self.parser.should_upgrade() or self.flow.write_paused)
        ):
            self.cycle = _HotCycle()
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if type(cycle) is not _HotCycle:
            super().on_body(body)
        elif not cycle.response_complete:
            cycle.body = cycle.body + body if cycle.body else body
            if len(cycle.body) > self.bytes_max:
                self._call(cycle)

    def on_message_complete(self) -> None:
        cycle = self.cycle
        if type(cycle) is not _HotCycle:
            super().on_message_complete()
        elif not cycle.response_complete:
            self._call(cycle)

    def _call(self, cycle: _HotCycle) -> None:
        """Hand the request over. A body over the limit goes as far as it came: the handler refuses it by its length."""
        try:
            type(self).handler(self.headers, cycle.body, partial(self._reply, cycle))
        except Refused as refused:
            self._refuse(cycle, refused)
        except Exception:  # noqa: BLE001 - as uvicorn does for an app: a programmer's error is a 500 and a stack in the log
            _log.exception("the hot route of %s", self.path.decode())
            self._refuse(cycle, Refused(500, [(b"connection", b"close")], b""))

    def _reply(self, cycle: _HotCycle, body: bytes) -> None:
        self._write(cycle, _JSON % len(body) + body)

    def _refuse(self, cycle: _HotCycle, refused: Refused) -> None:
        lines = [b"%s: %s\r\n" % header for header in (*refused.headers, (b"content-length", b"%d" % len(refused.body)))]
        cycle.keep_alive = cycle.keep_alive and (b"connection", b"close") not in refused.headers
        self._write(cycle, b"".join((STATUS_LINE[refused.status], *lines, b"\r\n", refused.body)))

    def _write(self, cycle: _HotCycle, response: bytes) -> None:
        if cycle.response_complete:
            return
        cycle.response_complete = True
        transport = self.transport
        if transport.is_closing():
            return
        transport.write(response)
        if not cycle.keep_alive:
            transport.close()
        if self.pipeline or self.flow.read_paused:
            self.on_response_complete()
        else:
            self._rest()

    def _rest(self) -> None:
        """uvicorn sets a timer after every response and cancels it with the next request; here one timer looks now and then."""
        self.server_state.total_requests += 1
        self._rested = self.loop.time()
        if self._look is None:
            self._look = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self._look = None
        if self.transport.is_closing() or self._rested is None:
            return
        idle_s = self.loop.time() - self._rested
        if idle_s >= self.timeout_keep_alive:
            self.transport.close()
        else:
            self._look = self.loop.call_later(self.timeout_keep_alive - idle_s, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)


def hot_protocol(path: str, handler: Handler, bytes_max: int) -> type[HotProtocol]:
    """A protocol whose hot path is `path`; for uvicorn's `http`. A body longer than `bytes_max` is handed over cut off, but
    still longer than that.
    """
    return type(
        "HotProtocol", (HotProtocol,), {"path": path.encode(), "handler": staticmethod(handler), "bytes_max": bytes_max}
    )
