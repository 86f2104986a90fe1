"""A gateway of canned answers on a free port: what the `supervisor` command sees of one, and what it was sent."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Seen:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class FakeGateway:
    """`answers`: (method, path) → what to answer, in turn; the last one is repeated. A body alone means 200."""

    url: str = ""
    answers: dict[tuple[str, str], list[tuple[int, Any, dict[str, str]]]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.answers.setdefault((method, path), []).append((status, body, headers or {}))

    def refuse(self, method: str, path: str, status: int, code: str, detail: str, errors: list[Any] | None = None) -> None:
        problem = {"type": "urn:x", "title": "x", "status": status, "code": code, "detail": detail, "errors": errors or []}
        self.answer(method, path, problem, status)

    def take(self, seen: Seen) -> tuple[int, Any, dict[str, str]]:
        self.seen.append(seen)
        queue = self.answers.get((seen.method, seen.path))
        if not queue:
            return 404, {"detail": f"no such route: {seen.path}", "code": "NOT_FOUND"}, {}
        return queue.pop(0) if len(queue) > 1 else queue[0]


@contextmanager
def fake_gateway() -> Iterator[FakeGateway]:
    """Serve until the block ends."""
    fake = FakeGateway()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            place = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            query = {name: values[0] for name, values in parse_qs(place.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            path = place.path.removeprefix("/api/v1")
            status, body, more = fake.take(Seen(self.command, path, query, headers, json.loads(raw) if raw else None))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**more, "content-type": "application/json", "content-length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
