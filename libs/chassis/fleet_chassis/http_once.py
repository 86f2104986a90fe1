"""A whole response in one write, for the route that every order goes through.

ASGI sends head and body apart and checks every header anew; that costs as much as the decision. This hands both to the
connection at once and leaves it as uvicorn would. It leans on uvicorn's own request cycle (the version is pinned): whatever is
not as expected goes the ordinary way.
"""

from typing import Any

from starlette.types import Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_JSON = (b"content-type", b"application/json")


async def send_json(send: Send, body: bytes) -> None:
    """200 with a JSON body."""
    cycle = _plain_cycle(send)
    if cycle is not None:
        _write(cycle, _HEAD % len(body) + body)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [_JSON, (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def _plain_cycle(send: Send) -> Any:
    """The cycle behind `send`, when it has sent nothing, its client reads, and nothing is to be added to the head."""
    cycle = getattr(send, "__self__", None)
    if type(cycle) is not RequestResponseCycle:
        return None
    usual = cycle.keep_alive and not cycle.default_headers and cycle.scope["http_version"] == "1.1"
    waiting = cycle.response_started or cycle.disconnected or cycle.flow.write_paused
    return cycle if usual and not waiting else None


def _write(cycle: Any, response: bytes) -> None:
    """What `RequestResponseCycle.send` does for a start and a last body together."""
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(response)
    cycle.message_event.set()
    cycle.on_response()
