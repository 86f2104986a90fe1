"""QuestDB's write door with its answers scripted: what it is sent is counted, what it says is up to the test."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OK = (204, b"")
_SETTINGS = {"config": {"line.proto.support.versions": [1, 2, 3], "cairo.max.file.name.length": 127}}


def refusal(code: str, message: str, line: int | None = None, *, proper: bool = False) -> tuple[int, bytes]:
    """A 400 as QuestDB 9.3.4 writes it, with a raw line feed in its JSON; `proper`: as it should."""
    said: dict[str, Any] = {"code": code, "message": f"failed to parse line protocol:errors encountered on line(s):\n{message}"}
    if line is not None:
        said["line"] = line
    text = json.dumps(said | {"errorId": "1-1"})
    return 400, (text if proper else text.replace("\\n", "\n")).encode()


class FakeQuestDb:
    """Answers /write with `answers`, one after the other, then with OK. `taken` counts rows of accepted writes."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.writes: list[int] = []
        self.connections = 0
        self.gate = threading.Event()
        self.gate.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.connections += 1
                self._say(200, json.dumps(_SETTINGS).encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.gate.wait(20)
                outer.writes.append(body.count(b"\n"))
                self._say(*(outer.answers.pop(0) if outer.answers else OK))

            def _say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                if body:
                    self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.01)

    def stop(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def fake_questdb() -> Iterator[FakeQuestDb]:
    """One, until the end of the block."""
    fake = FakeQuestDb()
    thread = threading.Thread(target=fake.serve, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.stop()
        thread.join(5)
