"""The HTTP side of a service: problems, health, metrics, limits on bodies; served by uvicorn on httptools and uvloop."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fleet_chassis.problems import MEDIA_TYPE, Problem, answer_problems, problem_response
from fleet_chassis.settings import LOOPBACK

BODY_BYTES_MAX = 1_000_000
_DIGITS_MAX = 18
"""Of an announced length: Python refuses to read a number of thousands of digits."""
STOP_TIMEOUT_S = 3
BACKLOG = 1024
_log = logging.getLogger(__name__)

NotReady = Callable[[], str | None]
"""Says in one line why the service is not ready; None when it is."""


class PortTaken(RuntimeError):
    """Somebody else listens on the port."""


def add_service_routes(app: FastAPI, registry: CollectorRegistry, not_ready: NotReady) -> None:
    """/healthz (the process runs), /readyz (it can do its work), /metrics; and problems for every error."""
    answer_problems(app)

    @app.get("/healthz", operation_id="healthz", tags=["health"], summary="The process runs")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        operation_id="readyz",
        tags=["health"],
        summary="The service can do its work",
        responses={503: {"description": "It cannot, and says why", "content": {MEDIA_TYPE: {}}}},
    )
    async def readyz() -> JSONResponse:
        reason = not_ready()
        if reason is None:
            return JSONResponse({"status": "ready"})
        return problem_response(Problem(503, "NOT_READY", reason))

    @app.get("/metrics", operation_id="metrics", tags=["health"], summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class BodyLimit:
    """Answers 413 to a body over the limit, announced or not, before anything reads it whole."""

    def __init__(self, app: ASGIApp, bytes_max: int = BODY_BYTES_MAX) -> None:
        self._app, self._bytes_max = app, bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or len(announced) > _DIGITS_MAX or int(announced) > self._bytes_max:
            await too_large(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._bytes_max:
                raise Problem(413, "TOO_LARGE", f"a body has at most {self._bytes_max} bytes")
            return message

        await self._app(scope, counted, send)


async def too_large(scope: Scope, receive: Receive, send: Send) -> None:
    """413 as a problem; the connection is closed, the rest of the body is not read."""
    problem = Problem(413, "TOO_LARGE", f"a body has at most {BODY_BYTES_MAX} bytes")
    problem.headers["connection"] = "close"
    await problem_response(problem)(scope, receive, send)


async def serve(app: Any, host: str, port: int, port_file: Path, protocol: type[HttpToolsProtocol] = HttpToolsProtocol) -> None:
    """Serve until cancelled. `port` 0: a free one; the port in use is written to `port_file`. `protocol`: one with a hot route.

    Refuses to listen beyond this machine: without TLS and a reverse proxy in front, tokens would travel in the clear.
    """
    if host not in LOOPBACK:
        _log.warning("listening on %s: put a TLS proxy in front of it", host)
    listener = _listen(host, port)
    await asyncio.to_thread(_tell_port, port_file, listener.getsockname()[1])
    server = _Server(
        uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S + 1):
                await serving
        raise
    finally:
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(f"port {port} on {host} is taken ({error.strerror}); set another (FLEET_PORT_BASE)") from error
    return listener


def _tell_port(file: Path, port: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{port}\n")


class _Server(uvicorn.Server):
    """Signals belong to the service, not to its HTTP side."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield
