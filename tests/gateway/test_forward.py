"""A follower's way to the leader: one answer for every order, within its deadline, whatever becomes of the question."""

import asyncio
from dataclasses import dataclass, field

import pytest
from nats.errors import OutboundBufferLimitError

from fleet_chassis.nats_client import read_headers
from fleet_chassis.nats_tap import Take
from risk_gateway import forward as forward_module
from risk_gateway.forward import Forward


@dataclass
class Bus:
    """Notes what is sent; answers when it is told to."""

    sent: list[tuple[str, bytes, str, bytes]] = field(default_factory=list)
    broken: bool = False
    take: Take | None = None
    is_connected: bool = True
    pending_data_size: int = 0

    def new_inbox(self) -> str:
        return "_INBOX.risk-gateway.x"

    async def listen(self, subject: str, take: Take) -> None:
        self.take = take

    def send(self, subject: str, body: bytes, reply: str, headers: bytes) -> None:
        if self.broken:
            raise OutboundBufferLimitError
        self.sent.append((subject, body, reply, headers))

    def answer(self, number: int, body: bytes) -> None:
        assert self.take is not None
        self.take(self.sent[number][2], "", body, b"" if body else b"NATS/1.0 503\r\n\r\n")


@dataclass
class Asker:
    heard: list[bytes | None] = field(default_factory=list)

    def ask(self, forward: Forward, deadline_s: float = 5) -> bool:
        return forward.ask("main", "qe1", b"{}", deadline_s, self.heard.append, lambda: self.heard.append(None))


async def opened(bus: Bus) -> Forward:
    forward = Forward()
    await forward.open(bus)  # type: ignore[arg-type]
    return forward


async def test_an_answer_of_the_leader_is_given_back_as_it_came() -> None:
    bus, asker = Bus(), Asker()
    forward = await opened(bus)
    assert asker.ask(forward, 0.75)
    subject, body, _, headers = bus.sent[0]
    assert (subject, body, read_headers(headers)) == ("svc.risk.evaluate.main.qe1", b"{}", {"X-Deadline-Ms": "750"})
    bus.answer(0, b"decision")
    bus.answer(0, b"once more")
    assert asker.heard == [b"decision"]


async def test_without_a_leader_the_order_is_refused_at_once() -> None:
    bus, asker = Bus(), Asker()
    forward = await opened(bus)
    assert asker.ask(forward)
    bus.answer(0, b"")
    assert asker.heard == [None]


async def test_a_leader_that_says_nothing_is_waited_for_until_the_deadline() -> None:
    bus, asker = Bus(), Asker()
    forward = await opened(bus)
    assert asker.ask(forward, 0.01)
    async with asyncio.timeout(5):
        while not asker.heard:
            await asyncio.sleep(0.01)
    bus.answer(0, b"late")
    assert asker.heard == [None]


@pytest.mark.parametrize("away", ["before the start", "disconnected", "full", "broken"])
async def test_what_cannot_be_asked_is_said_to_the_one_who_asks(away: str) -> None:
    bus, asker = Bus(broken=away == "broken", is_connected=away != "disconnected"), Asker()
    bus.pending_data_size = 10**9 if away == "full" else 0
    forward = Forward() if away == "before the start" else await opened(bus)
    assert not asker.ask(forward)
    assert asker.heard == []


async def test_only_so_many_orders_wait_for_the_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward_module, "ON_THE_WAY_MAX", 2)
    bus, asker = Bus(), Asker()
    forward = await opened(bus)
    assert [asker.ask(forward) for _ in range(3)] == [True, True, False]
    bus.answer(0, b"one")
    assert asker.ask(forward)
