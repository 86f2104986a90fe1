"""A bus in memory with the face of the SDK's `Bus`, and a stream behind it that keeps JetStream's word on Msg-Ids.

A test may take it away, lose answers on their way back, refuse appends, let strangers use an id, and stand at its doors.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic_core import from_json, to_json

from fleet_sdk.bus import Heard, Silence


@dataclass(frozen=True)
class Stored:
    """One message of the stream; `seq` from 1."""

    seq: int
    subject: str
    body: bytes

    @property
    def event(self) -> dict[str, object]:
        return dict(from_json(self.body))


@dataclass
class MemoryBus:
    """`doors`: subject → what answers there (after `delay_s`). Everything under `fleet.` is appended to `stream`."""

    connected: bool = True
    stream: list[Stored] = field(default_factory=list)
    published: list[tuple[str, bytes]] = field(default_factory=list)
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    doors: dict[str, Callable[[bytes], bytes | None]] = field(default_factory=dict)
    delay_s: float = 0.001
    refuse: str | None = None
    lose_answers: int = 0
    ids: dict[str, int] = field(default_factory=dict)
    since: float = 0.0
    _up: asyncio.Event = field(default_factory=asyncio.Event)
    _heard: dict[str, Heard] = field(default_factory=dict)
    _count: int = 0

    def go_away(self) -> None:
        self.connected = False
        self._up.clear()
        for heard in list(self._heard.values()):
            heard(Silence.LOST)

    def come_back(self) -> None:
        if not self.connected:
            self.since = asyncio.get_running_loop().time()
        self.connected = True
        self._up.set()

    @property
    def connected_s(self) -> float:
        return asyncio.get_running_loop().time() - self.since if self.connected else 0.0

    async def wait_connected(self) -> None:
        while not self.connected:
            await self._up.wait()

    async def publish(self, subject: str, body: bytes) -> bool:
        if self.connected:
            self.published.append((subject, body))
        return self.connected

    async def send(self, subject: str, body: bytes, heard: Heard, headers: dict[str, str] | None = None) -> str | None:
        if not self.connected:
            return None
        self._count += 1
        token = str(self._count)
        self._heard[token] = heard
        self.asked.append((subject, body))
        reply = self._append(subject, body, headers or {}) if subject.startswith("fleet.") else self._ask(subject, body)
        if self.lose_answers > 0 and reply is not None:
            self.lose_answers -= 1
        elif reply is not None:
            asyncio.get_running_loop().call_later(self.delay_s, self._answer, token, reply)
        return token

    def forget(self, token: str) -> None:
        self._heard.pop(token, None)

    async def ask(self, subject: str, body: bytes, timeout_s: float, headers: dict[str, str] | None = None) -> bytes | None:
        reply: asyncio.Future[bytes | Silence] = asyncio.get_running_loop().create_future()
        token = await self.send(subject, body, lambda answer: None if reply.done() else reply.set_result(answer), headers)
        if token is None:
            return None
        try:
            async with asyncio.timeout(timeout_s):
                answer = await reply
            return answer if isinstance(answer, bytes) else None
        except TimeoutError:
            return None
        finally:
            self.forget(token)

    def _append(self, subject: str, body: bytes, headers: dict[str, str]) -> bytes:
        if self.refuse is not None:
            return to_json({"error": {"code": 503, "err_code": 10077, "description": self.refuse}})
        msg_id = headers.get("Nats-Msg-Id")
        if msg_id is not None and msg_id in self.ids:
            return to_json({"stream": "FLEET", "seq": self.ids[msg_id], "duplicate": True})
        self.stream.append(Stored(len(self.stream) + 1, subject, body))
        if msg_id is not None:
            self.ids[msg_id] = len(self.stream)
        return to_json({"stream": "FLEET", "seq": len(self.stream)})

    def _ask(self, subject: str, body: bytes) -> bytes | Silence | None:
        door = self.doors.get(subject)
        return Silence.NOBODY_LISTENS if door is None else door(body)

    def _answer(self, token: str, reply: bytes | Silence) -> None:
        heard = self._heard.get(token)
        if heard is not None:
            heard(reply)
