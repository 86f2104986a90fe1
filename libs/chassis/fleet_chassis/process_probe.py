"""Is a part ready? Small probes with a bound on every wait; the manager asks them again and again."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROBE_TIMEOUT_S = 2.0
_ANSWER_BYTES_MAX = 64 * 1024
_REASON_CHARACTERS_MAX = 200

Probe = Callable[[], Awaitable[str | None]]
"""None: ready. A text: what is missing. It never raises on an operating error and never hangs."""


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Ready when GET `path` answers 2xx. The port is a number, or read from a file the part writes at start."""

    host: str
    port: int | Path
    path: str = "/readyz"
    timeout_s: float = PROBE_TIMEOUT_S

    async def __call__(self) -> str | None:
        try:
            port = self.port if isinstance(self.port, int) else int(self.port.read_text())
        except (OSError, ValueError):
            return "has not written its port yet"
        try:
            async with asyncio.timeout(self.timeout_s):
                status, body = await http_get(self.host, port, self.path)
        except TimeoutError:
            return f"port {port} answers too slowly"
        except (OSError, ValueError):
            return f"no answer on port {port}"
        return None if 200 <= status < 300 else f"{self.path} says {status}: {_reason(body)}"


async def http_get(host: str, port: int, path: str) -> tuple[int, bytes]:
    """One plain GET: (status, up to 64 kB of the body). Raises OSError, ValueError; the caller bounds the time."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        status_line = await reader.readline()
        answer = b""
        while len(answer) < _ANSWER_BYTES_MAX and (more := await reader.read(_ANSWER_BYTES_MAX)):
            answer += more
    finally:
        writer.close()
    fields = status_line.split()
    if len(fields) < 2:
        raise ValueError("no HTTP answer")
    return int(fields[1]), answer.partition(b"\r\n\r\n")[2]


def _reason(body: bytes) -> str:
    """The detail of a problem document (RFC 9457), else the first line."""
    text = body.decode("utf-8", "replace").strip()
    with suppress(ValueError):
        problem = json.loads(text)
        if isinstance(problem, dict) and problem.get("detail"):
            text = str(problem["detail"])
    return text.partition("\n")[0][:_REASON_CHARACTERS_MAX]
