"""Folding from the stream with 1 and 64 events a message, against nats-py's own
`fetch(1000)` of single events decoded by msgspec; CPU per event."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path

import msgspec
from core_cases import led_account
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig
from plain_nats import plain
from sampling import Ratios, Sample, interleave

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fleet_chassis.fold import Fold
from fleet_chassis.jetstream import JetStreamLog
from parts.nats import Nats, started

EVENTS = 12_800


class _OrderEvent(msgspec.Struct):
    """What the fetcher reads of an event."""

    order_id: str
    status: str
    symbol: str
    side: str
    last_qty: str
    last_price: str
    fill_id: str


def _line(number: int) -> bytes:
    fields = {"event_type": "ORDER_EVENT", "order_id": f"o{number}", "status": "FILLED", "symbol": "BTC-PERP", "side": "BUY"}
    more = {"last_qty": "0.004", "last_price": "43000.5", "filled_qty": "0.004", "leaves_qty": "0", "fee": "0.07"}
    return json.dumps(fields | more | {"fill_id": f"f{number}"}).encode()


async def _fill(log: JetStreamLog, per_message: int) -> int:
    """Store `EVENTS` events; the sequence of the last message."""
    seq = 0
    for start in range(0, EVENTS, per_message * 50):
        bodies = [
            b"\n".join(_line(number) for number in range(first, min(first + per_message, EVENTS)))
            for first in range(start, min(start + per_message * 50, EVENTS), per_message)
        ]
        stored = await asyncio.gather(*(log.append("fleet.main.order_event.qe1", body, timeout_s=10) for body in bodies))
        seq = max(seq, *(outcome.seq for outcome in stored))  # type: ignore[union-attr]
    return seq


class _Reader:
    """Reads the same stream in both ways."""

    def __init__(self, runner: asyncio.Runner, client: Client, log: JetStreamLog, last: int) -> None:
        self._runner, self._client, self._log, self._last = runner, client, log, last
        self._durables = 0

    def fold(self) -> Sample:
        return self._sample(self._fold())

    def fetch(self) -> Sample:
        return self._sample(self._fetch())

    def _sample(self, work: object) -> Sample:
        begun, cpu = time.perf_counter(), time.process_time()
        self._runner.run(work)  # type: ignore[arg-type]
        used = time.process_time() - cpu
        return Sample(EVENTS / used, used / EVENTS * 1e6, (time.perf_counter() - begun) / EVENTS * 1e6)

    async def _fold(self) -> None:
        fold = Fold(led_account(), service="risk-gateway", account="main")
        following = asyncio.create_task(fold.follow(self._log, lambda: None))
        assert await fold.reach(self._last, 60)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        assert fold.lines == EVENTS

    async def _fetch(self) -> None:
        unacknowledged = ConsumerConfig(ack_policy=AckPolicy.NONE)
        subject = "fleet.main.order_event.qe1"
        subscription = await self._client.jetstream().pull_subscribe(subject, stream="FLEET", config=unacknowledged)
        decode = msgspec.json.Decoder(_OrderEvent).decode_lines
        seen = 0
        while seen < EVENTS:
            for message in await subscription.fetch(1000, timeout=5):
                seen += len(decode(message.data))
        await subscription.unsubscribe()


def measure(folder: Path, rounds: int, say: Callable[[str], None]) -> dict[str, Ratios]:
    """Both shapes of messages, each on a server of its own; the base fetches single events."""
    with asyncio.Runner() as runner, ExitStack() as stack:
        readers = {}
        for per_message in (1, 64):
            nats = stack.enter_context(started(folder / str(per_message)))
            readers[per_message] = stack.enter_context(_reader(nats, per_message, runner))
        cases = {f"fold, {per_message} events a message": reader.fold for per_message, reader in readers.items()}
        return interleave(readers[1].fetch, cases, rounds, say)


@contextmanager
def _reader(nats: Nats, per_message: int, runner: asyncio.Runner) -> Iterator[_Reader]:
    stack = AsyncExitStack()
    try:
        log = JetStreamLog(runner.run(stack.enter_async_context(nats.connect("fleet-init"))), "FLEET")
        runner.run(log.open())
        client = runner.run(stack.enter_async_context(plain(nats.url, "fleet-init", nats.seed("fleet-init"))))
        yield _Reader(runner, client, log, runner.run(_fill(log, per_message)))
    finally:
        runner.run(stack.aclose())
