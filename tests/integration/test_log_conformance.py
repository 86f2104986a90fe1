"""One suite over three logs: in memory, one server, a cluster of three. They differ only where DESIGN §5 says so."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from fleet_chassis.fleet_init import streams
from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.jetstream_api import api
from fleet_chassis.log import Fence, Log, Message, Refused, Stored, WrongLast
from fleet_chassis.memory_log import MemoryLog
from parts.nats import Nats, running

TIMEOUT_S = 5.0
FENCE = "fleet.main.*.risk-gateway"
DECISION = "fleet.main.order_decision.risk-gateway"
STATE = "fleet.main.risk_state.risk-gateway"
TRADE = "fleet.main.trade.qe1"

pytestmark = pytest.mark.real


@dataclass
class Place:
    """A log to try, and how to make room in it or take it away."""

    name: str
    log: Log
    small: Log


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "one server", "cluster"])
async def nats(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats | None]:
    if request.param == "memory":
        yield None
        return
    folder = tmp_path_factory.mktemp("nats")
    async with running(folder, 3 if request.param == "cluster" else 1) as servers:
        yield servers


@pytest_asyncio.fixture(loop_scope="module")
async def place(nats: Nats | None) -> AsyncIterator[Place]:
    """A fresh stream with the subjects and settings of FLEET for every test."""
    if nats is None:
        yield Place("memory", MemoryLog(), MemoryLog(bytes_max=3000))
        return
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(nats.connect("fleet-init"))
        found = []
        for bytes_max in (10_000_000, 6000):
            config = streams(nats.replicas)[0] | {
                "name": "T" + uuid.uuid1().hex,
                "max_bytes": bytes_max,
                "deny_delete": False,
                "republish": None,
            }
            prefix = config["name"]
            config["subjects"] = [f"{prefix}.{subject}" for subject in config["subjects"]]
            answer = await api(client, f"STREAM.CREATE.{prefix}", {k: v for k, v in config.items() if v is not None}, 10)
            assert "error" not in answer, answer
            stack.push_async_callback(api, client, f"STREAM.DELETE.{prefix}", {}, 10)
            log = JetStreamLog(client, prefix)
            await log.open()
            found.append(_Prefixed(log, prefix))
        yield Place("cluster" if nats.replicas > 1 else "one server", *found)


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


@pytest.mark.asyncio(loop_scope="module")
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

    async def test_of_many_racing_writers_exactly_one_is_stored(self, place: Place) -> None:
        for round_ in range(10):
            last = await place.log.last(FENCE, timeout_s=TIMEOUT_S)
            fence = Fence(FENCE, last.seq if last else 0)
            racers = [append(place.log, DECISION if n % 2 else STATE, b"%d" % n, fence) for n in range(3)]
            outcomes = await asyncio.gather(*racers)
            assert sum(isinstance(outcome, Stored) for outcome in outcomes) == 1, round_

    async def test_a_full_log_refuses_and_keeps_what_it_has(self, place: Place) -> None:
        outcomes = [await append(place.small, TRADE, b"x" * 900) for _ in range(8)]
        refused = [outcome for outcome in outcomes if not isinstance(outcome, Stored)]
        assert refused
        assert all(isinstance(outcome, Refused) and outcome.code == 10077 for outcome in refused)
        assert (await place.small.get(1, timeout_s=TIMEOUT_S)) is not None

    async def test_reading_gives_every_matching_message_in_order_and_then_the_new_ones(self, place: Place) -> None:
        for n in range(700):
            await append(place.log, TRADE if n % 2 else DECISION, b"%d" % n)
        found = await collect(place.log, 101, ["fleet.main.trade.*"], 300)
        assert [message.seq for message in found] == list(range(102, 701, 2))
        reading = asyncio.create_task(collect(place.log, 701, ["fleet.main.*.*", "fleet.fleet.*.*"], 2))
        await append(place.log, TRADE, b"new")
        await append(place.log, "fleet.fleet.anomaly.ingest", b"fleet")
        assert [message.body for message in await reading] == [b"new", b"fleet"]

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
