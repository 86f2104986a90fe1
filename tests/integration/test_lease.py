"""One suite over the lease in memory and the lease in NATS; then what only the real one can suffer."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.kv_lease import STREAM, KvLease
from fleet_chassis.lease import LEASE_TTL_S, Lease, LeaseTable, LeaseUnavailable, MemoryLease
from fleet_chassis.log import Fence, NoAnswer, Outcome
from fleet_chassis.nats_connection import Client
from parts.nats import Nats

pytestmark = pytest.mark.real
accounts = (f"lease{n}" for n in itertools.count())

MakeLease = Callable[[str], Lease]
"""A new process of the instance of that name, for one and the same account."""


class DeafLog(JetStreamLog):
    """Loses the answers of the next appends."""

    deaf = 0

    async def append(self, *args, **named) -> Outcome:  # type: ignore[no-untyped-def]
        outcome = await super().append(*args, **named)
        if self.deaf:
            self.deaf -= 1
            return NoAnswer()
        return outcome


@pytest_asyncio.fixture
async def client(one_server: Nats) -> AsyncIterator[Client]:
    async with one_server.connect("risk-gateway") as client:
        yield client


@pytest_asyncio.fixture
async def log(client: Client) -> DeafLog:
    log = DeafLog(client, STREAM)
    await log.open()
    return log


@pytest.fixture
def kv(client: Client, log: DeafLog) -> Callable[[str], KvLease]:
    account = next(accounts)
    return lambda instance: KvLease(client, log, "risk-gateway", account, instance)


@pytest.fixture(params=["memory", "nats"])
def make(request: pytest.FixtureRequest) -> MakeLease:
    if request.param == "nats":
        made: MakeLease = request.getfixturevalue("kv")
        return made
    table = LeaseTable()
    return lambda instance: MemoryLease(table, "risk-gateway.main", instance)


class TestEveryLease:
    async def test_one_instance_has_it_and_the_other_has_not(self, make: MakeLease) -> None:
        a, b = make("a"), make("b")
        assert await a.acquire() is not None
        assert await b.acquire() is None
        assert (a.held, b.held) == (True, False)
        assert await a.renew()
        assert not await b.renew()
        assert a.held

    async def test_an_instance_takes_its_own_old_lease_back_at_once(self, make: MakeLease) -> None:
        first = await make("a").acquire()
        again = await make("a").acquire()
        assert first is not None
        assert again is not None
        assert again > first

    async def test_a_released_lease_is_free_at_once(self, make: MakeLease) -> None:
        a, b = make("a"), make("b")
        first = await a.acquire()
        await a.release()
        assert not a.held
        second = await b.acquire()
        assert first is not None
        assert second is not None
        assert second > first
        await a.release()
        assert b.held
        assert await b.renew()

    async def test_a_lease_not_renewed_runs_out_and_is_not_believed_in_before_another_has_it(self, make: MakeLease) -> None:
        a, b = make("a"), make("b")
        await a.acquire()
        async with asyncio.timeout(LEASE_TTL_S + 3):
            while await b.acquire() is None:
                await asyncio.sleep(0.02)
        assert not a.held
        assert not await a.renew()
        assert b.held


async def test_a_renewal_whose_answer_was_lost_costs_no_leadership(kv: Callable[[str], KvLease], log: DeafLog) -> None:
    lease = kv("a")
    await lease.acquire()
    log.deaf = 1
    with pytest.raises(LeaseUnavailable):
        await lease.renew()
    assert await lease.renew()
    assert lease.held


async def test_a_second_process_of_the_same_name_ends_the_first_ones_lease(kv: Callable[[str], KvLease]) -> None:
    first, second = kv("a"), kv("a")
    await first.acquire()
    await second.acquire()
    assert not await first.renew()
    assert not first.held
    assert await second.renew()


async def test_while_nats_is_frozen_nobody_has_an_answer_and_the_holder_stops_believing(
    one_server: Nats, kv: Callable[[str], KvLease]
) -> None:
    a, b = kv("a"), kv("b")
    await a.acquire()
    one_server.server.freeze()
    try:
        with pytest.raises(LeaseUnavailable):
            await b.acquire()
        assert a.held
        loop = asyncio.get_running_loop()
        asked = loop.time()
        while a.held:
            with pytest.raises(LeaseUnavailable):
                await a.renew()
        assert loop.time() - asked < LEASE_TTL_S
        await a.release()
    finally:
        one_server.server.thaw()


async def test_the_lease_outlives_a_killed_server(one_server: Nats) -> None:
    account = next(accounts)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(one_server.connect("risk-gateway"))
        log = JetStreamLog(client, STREAM)
        await log.open()
        lease = KvLease(client, log, "risk-gateway", account, "a")
        first = await lease.acquire()
        one_server.server.kill()
        one_server.server.start()
        async with asyncio.timeout(20):
            while True:
                try:
                    second = await lease.acquire()
                    break
                except LeaseUnavailable:
                    continue
    assert first is not None
    assert second is not None
    assert second > first


async def test_a_service_has_no_say_over_anothers_lease(one_server: Nats, log: DeafLog) -> None:
    subject = "$KV.leases.ingest.main"
    assert await log.append(subject, b"{}", fence=Fence(subject, 0), timeout_s=0.3) == NoAnswer()
    assert await log.last(subject, timeout_s=2) is None
