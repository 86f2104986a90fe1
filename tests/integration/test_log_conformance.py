"""One suite over three logs: in memory, one server, a cluster of three. They differ only where DESIGN §5 says so."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.client import Client

from fleet_chassis.fleet_init import streams
from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.jetstream_api import api
from fleet_chassis.log import Fence, Log, LogUnavailable, Message, Refused, Stored, WrongLast
from fleet_chassis.memory_log import MemoryLog
from parts.nats import Nats

TIMEOUT_S = 5.0
FENCE = "fleet.main.*.risk-gateway"
DECISION = "fleet.main.order_decision.risk-gateway"
STATE = "fleet.main.risk_state.risk-gateway"
TRADE = "fleet.main.trade.qe1"

pytestmark = pytest.mark.real


@dataclass
class Place:
    """A log to try; rivals who write to it too; a small log that gets full, and how to make room in it."""

    log: Log
    rivals: Sequence[Log]
    small: Log
    make_room: Callable[[], Awaitable[None]]


@pytest.fixture(params=["memory", "one_server", "cluster"])
def nats(request: pytest.FixtureRequest) -> Nats | None:
    return None if request.param == "memory" else request.getfixturevalue(request.param)


@pytest_asyncio.fixture
async def place(nats: Nats | None) -> AsyncIterator[Place]:
    """Fresh streams with the subjects and settings of FLEET for every test."""
    if nats is None:
        log, small = MemoryLog(), MemoryLog(bytes_max=3000)

        async def make_room() -> None:
            small.bytes_max = None

        yield Place(log, [log, log], small, make_room)
        return
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(nats.connect("fleet-init", server)) for server in (nats.servers * 3)[:3]]
        big = await _stream(stack, nats, clients[0], 100_000_000)
        little = await _stream(stack, nats, clients[0], 6000)
        opened = []
        for client, config in [(clients[0], big), (clients[1], big), (clients[2], big), (clients[0], little)]:
            log_ = JetStreamLog(client, config["name"])
            await log_.open()
            opened.append(_Prefixed(log_, config["name"]))

        async def make_room() -> None:
            answer = await api(clients[0], f"STREAM.UPDATE.{little['name']}", little | {"max_bytes": 60_000}, 10)
            assert "error" not in answer, answer

        yield Place(opened[0], opened[1:3], opened[3], make_room)


async def _stream(stack: AsyncExitStack, nats: Nats, client: Client, bytes_max: int) -> dict[str, Any]:
    """A stream like FLEET behind a prefix of its own, gone after the test."""
    name = "T" + uuid.uuid1().hex
    config = streams(nats.replicas)[0] | {"name": name, "max_bytes": bytes_max, "deny_delete": False}
    config["subjects"] = [f"{name}.{subject}" for subject in config["subjects"]]
    del config["republish"]
    async with asyncio.timeout(60):
        while True:
            try:
                answer = await api(client, f"STREAM.CREATE.{name}", config, 10)
                break
            except LogUnavailable:  # a cluster just started may take its time to elect
                await asyncio.sleep(0.3)
    assert "error" not in answer, answer
    stack.push_async_callback(api, client, f"STREAM.DELETE.{name}", {}, 10)
    return config


class _Prefixed:
    """A stream of its own for every test: the same subjects behind a prefix."""

    def __init__(self, log: JetStreamLog, prefix: str) -> None:
        self._log, self._prefix = log, prefix

    async def append(self, subject, body, *, fence=None, headers=None, timeout_s):  # type: ignore[no-untyped-def]
        fence = Fence(f"{self._prefix}.{fence.subjects}", fence.last_seq) if fence else None
        return await self._log.append(
            f"{self._prefix}.{subject}", body, fence=fence, headers=headers or {}, timeout_s=timeout_s
        )

    async def last(self, subjects: str, *, timeout_s: float) -> Message | None:
        return self._bare(await self._log.last(f"{self._prefix}.{subjects}", timeout_s=timeout_s))

    async def get(self, seq: int, *, timeout_s: float) -> Message | None:
        return self._bare(await self._log.get(seq, timeout_s=timeout_s))

    async def read(self, start_seq, subjects):  # type: ignore[no-untyped-def]
        async for batch in self._log.read(start_seq, [f"{self._prefix}.{subject}" for subject in subjects]):
            yield [self._bare(message) for message in batch]

    def _bare(self, message: Message | None) -> Message | None:
        if message is None:
            return None
        return Message(message.subject.removeprefix(f"{self._prefix}."), message.seq, message.at, message.body, message.headers)


async def append(log: Log, subject: str, body: bytes, fence: Fence | None = None, **headers: str) -> object:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await log.append(subject, body, fence=fence, headers=named, timeout_s=TIMEOUT_S)


async def collect(log: Log, start: int, subjects: list[str], count: int) -> list[Message]:
    found: list[Message] = []
    async with asyncio.timeout(20):
        async for batch in log.read(start, subjects):
            found += batch
            if len(found) >= count:
                break
    return found


class TestEveryLog:
    async def test_sequences_grow_by_one_from_one(self, place: Place) -> None:
        outcomes = [await append(place.log, TRADE, b"%d" % n) for n in range(3)]
        assert outcomes == [Stored(1), Stored(2), Stored(3)]

    async def test_a_fence_lets_in_only_what_knows_the_last_message_under_it(self, place: Place) -> None:
        assert await append(place.log, DECISION, b"1", Fence(FENCE, 0)) == Stored(1)
        assert await append(place.log, STATE, b"2", Fence(FENCE, 0)) == WrongLast()
        assert await append(place.log, STATE, b"2", Fence(FENCE, 1)) == Stored(2)
        assert await append(place.log, DECISION, b"3", Fence(FENCE, 1)) == WrongLast()

    async def test_foreign_traffic_does_not_move_the_fence(self, place: Place) -> None:
        await append(place.log, DECISION, b"1", Fence(FENCE, 0))
        await append(place.log, TRADE, b"x")
        assert await append(place.log, DECISION, b"2", Fence(FENCE, 1)) == Stored(3)

    async def test_a_resend_of_a_stored_append_is_told_apart_by_looking(self, place: Place) -> None:
        await append(place.log, DECISION, b"mine", Fence(FENCE, 0), Fleet_Leader="gw.1")
        assert await append(place.log, DECISION, b"mine", Fence(FENCE, 0), Fleet_Leader="gw.1") == WrongLast()
        last = await place.log.last(FENCE, timeout_s=TIMEOUT_S)
        assert last is not None
        assert (last.seq, last.body, last.headers["Fleet-Leader"]) == (1, b"mine", "gw.1")

    async def test_a_foreign_message_with_your_id_keeps_yours_out(self, place: Place) -> None:
        await append(place.log, TRADE, b"foreign", Nats_Msg_Id="mine")
        outcome = await append(place.log, DECISION, b"mine", Nats_Msg_Id="mine")
        assert outcome == Stored(1, duplicate=True)
        assert await place.log.last(DECISION, timeout_s=TIMEOUT_S) is None

    async def test_of_three_leaders_taking_over_at_once_exactly_one_is_stored(self, place: Place) -> None:
        logs = [place.log, *place.rivals]
        for round_ in range(20):
            last = await place.log.last(FENCE, timeout_s=TIMEOUT_S)
            fence = Fence(FENCE, last.seq if last else 0)
            racers = [append(log, DECISION if n % 2 else STATE, b"%d" % n, fence) for n, log in enumerate(logs)]
            *outcomes, _ = await asyncio.gather(*racers, append(place.log, TRADE, b"foreign"))
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Stored", "WrongLast", "WrongLast"], round_

    async def test_the_last_message_under_a_fence_is_read_right_after_a_rival_wrote_it(self, place: Place) -> None:
        for n in range(20):
            stored = await append(place.rivals[n % 2], DECISION, b"%d" % n)
            last = await place.log.last(FENCE, timeout_s=TIMEOUT_S)
            assert last is not None
            assert (Stored(last.seq), last.body) == (stored, b"%d" % n)

    async def test_a_full_log_refuses_keeps_what_it_has_and_goes_on_when_there_is_room(self, place: Place) -> None:
        log = place.small
        last, outcome = 0, await append(log, DECISION, b"x" * 900, Fence(FENCE, 0))
        while isinstance(outcome, Stored):
            last = outcome.seq
            outcome = await append(log, DECISION, b"x" * 900, Fence(FENCE, last))
        assert isinstance(outcome, Refused)
        assert outcome.code == 10077
        assert await append(log, STATE, b"x" * 900, Fence(FENCE, last - 1)) == WrongLast()
        assert (await log.get(1, timeout_s=TIMEOUT_S)) is not None
        await place.make_room()
        assert await append(log, DECISION, b"x" * 900, Fence(FENCE, last)) == Stored(last + 1)

    async def test_reading_gives_every_matching_message_in_order_and_then_the_new_ones(self, place: Place) -> None:
        for n in range(700):
            await append(place.log, TRADE if n % 2 else DECISION, b"%d" % n)
        found = await collect(place.log, 101, ["fleet.main.trade.*"], 300)
        assert [message.seq for message in found] == list(range(102, 701, 2))
        reading = asyncio.create_task(collect(place.log, 701, ["fleet.main.*.*", "fleet.fleet.*.*"], 2))
        await append(place.log, TRADE, b"new")
        await append(place.log, "fleet.fleet.anomaly.ingest", b"fleet")
        assert [message.body for message in await reading] == [b"new", b"fleet"]

    async def test_reading_large_messages_loses_none_and_comes_to_rest(self, place: Place) -> None:
        sizes = [900_000 if n % 3 else 10 for n in range(40)]
        for size in sizes:
            assert isinstance(await append(place.log, TRADE, b"x" * size), Stored)
        found = await collect(place.log, 1, ["fleet.main.*.*"], len(sizes))
        assert [(message.seq, len(message.body)) for message in found] == list(enumerate(sizes, 1))

    async def test_two_readers_do_not_disturb_each_other(self, place: Place) -> None:
        readers = [asyncio.create_task(collect(log, 1, ["fleet.main.*.*"], 300)) for log in (place.log, place.rivals[0])]
        for n in range(300):
            await append(place.log, TRADE, b"%d" % n)
        for found in await asyncio.gather(*readers):
            assert [message.seq for message in found] == list(range(1, 301))

    async def test_a_message_read_is_the_message_got(self, place: Place) -> None:
        await append(place.log, TRADE, b"1", Fleet_Note="x", Fleet_Other="y: z")
        [read] = await collect(place.log, 1, ["fleet.main.*.*"], 1)
        assert read == await place.log.get(1, timeout_s=TIMEOUT_S)

    async def test_a_fence_nobody_has_written_under_stands_at_zero(self, place: Place) -> None:
        await append(place.log, TRADE, b"x")
        assert await append(place.log, STATE, b"1", Fence(FENCE, 1)) == WrongLast()
        assert await place.log.last(FENCE, timeout_s=TIMEOUT_S) is None
        assert await append(place.log, STATE, b"1", Fence(FENCE, 0)) == Stored(2)

    async def test_an_idle_read_still_beats(self, place: Place) -> None:
        async with asyncio.timeout(10):
            async for batch in place.log.read(1, ["fleet.main.*.*"]):
                assert batch == []
                break

    async def test_a_message_is_found_by_sequence_with_subject_time_body_and_headers(self, place: Place) -> None:
        await append(place.log, TRADE, b'{"a":"\xc3\xa4"}', Fleet_Note="x")
        message = await place.log.get(1, timeout_s=TIMEOUT_S)
        assert message is not None
        assert (message.subject, message.body, message.headers["Fleet-Note"]) == (TRADE, b'{"a":"\xc3\xa4"}', "x")
        assert message.at.tzinfo is not None
        assert await place.log.get(99, timeout_s=TIMEOUT_S) is None
