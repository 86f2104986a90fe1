"""Ingest's drain of a full stream, rows confirmed and messages acknowledged, against its two limits alone: pulling and decoding
the same stream, and flushing the same rows over ILP. Real NATS, real QuestDB; `--events` mixed events in messages of eight.

Each drain stands between two samples of each limit, all of them with empty tables and a warm database.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import uvloop
from restart import decision
from sampling import Ratios, Sample, busy_s, cpu_s, own_s, spread, wait_for_quiet

from fleet_chassis.fleet_init import provision
from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.jetstream_api import api
from fleet_chassis.log import Message, Stored
from fleet_chassis.questdb_writer import QuestDbWriter
from fleet_chassis.quick_read import quick_read
from fleet_chassis.settings import FleetSettings
from fleet_contracts import Provenance, parse
from fleet_ingest.core.lines import Calendar, Judged, judge
from fleet_ingest.core.rows import Row
from fleet_ingest.core.tables import ALL
from fleet_ingest.pump import stored_message
from fleet_ingest.settings import LINES_MAX
from parts.ingest_rig import Rig, rig, running_ingest, settings_of
from parts.nats import running
from parts.questdb import applied, questdb

EVENTS = 200_000
PER_MESSAGE = 8
START = datetime.now(UTC) - timedelta(hours=20)


def _trade(number: int) -> dict[str, object]:
    return {"symbol": "BTC-PERP", "side": "BUY", "price": "43000.5", "qty": "0.010", "pnl": "1.25", "order_id": f"o{number}"}


def _equity(number: int) -> dict[str, object]:
    return {"equity": str(10_000 + number % 500), "balance": "10000", "unrealized_pnl": "3.5", "drawdown": "0.1"}


def _order_event(number: int) -> dict[str, object]:
    fields = {"order_id": f"o{number}", "status": "FILLED", "symbol": "BTC-PERP", "side": "BUY", "last_qty": "0.010"}
    return fields | {"last_price": "43000.5", "filled_qty": "0.010", "leaves_qty": "0", "fill_id": f"f{number}"}


def _signal(number: int) -> dict[str, object]:
    fields = {"signal_id": f"s{number}", "symbol": "BTC-PERP", "side": "BUY", "size": "0.010", "price": "43000.5"}
    return fields | {"strategy": "scalp", "model_conf": 0.62, "features": {"rsi_14": 38.2, "regime": "high"}}


_KINDS: Sequence[tuple[str, Callable[[int], dict[str, object]]]] = (
    ("trade", _trade),
    ("equity", _equity),
    ("order_event", _order_event),
    ("signal_context", _signal),
)


async def fill(log: JetStreamLog, events: int) -> None:
    """Four kinds of bots' events and decisions in turn, a message of one kind at a time."""
    for first in range(0, events, 50 * PER_MESSAGE):
        numbers = range(first, min(first + 50 * PER_MESSAGE, events), PER_MESSAGE)
        outcomes = await asyncio.gather(*(_store(log, number) for number in numbers))
        assert all(isinstance(outcome, Stored) for outcome in outcomes), outcomes


async def _store(log: JetStreamLog, first: int) -> object:
    turn = first // PER_MESSAGE % (len(_KINDS) + 1)
    numbers = range(first, first + PER_MESSAGE)
    if turn == len(_KINDS):
        body = b"\n".join(decision(number) for number in numbers)
        subject = "fleet.main.order_decision.risk-gateway"
        return await log.append(subject, body, headers={"Fleet-Leader": "bench.1"}, timeout_s=10)
    name, make = _KINDS[turn]
    lines = [{"ts": (START + timedelta(milliseconds=number)).isoformat(), **make(number)} for number in numbers]
    return await log.append(f"fleet.main.{name}.qe1", "\n".join(map(json.dumps, lines)).encode(), timeout_s=10)


@dataclass(slots=True)
class Gauge:
    """Takes samples; `servers` are the processes whose work is not foreign."""

    servers: Sequence[int]
    _begun: tuple[float, float, float, float] = field(default=(0.0, 0.0, 0.0, 0.0))

    def begin(self) -> None:
        self._begun = time.perf_counter(), time.process_time(), busy_s(), own_s() + cpu_s(self.servers)

    def end(self, events: int) -> Sample:
        """Events a second, this process's CPU an event, and the foreign cores, since `begin`."""
        elapsed, cpu, busy, ours = (
            now - then
            for now, then in zip(
                (time.perf_counter(), time.process_time(), busy_s(), own_s() + cpu_s(self.servers)), self._begun, strict=True
            )
        )
        return Sample(events / elapsed, cpu / events * 1e6, foreign=max(0.0, (busy - ours) / elapsed))


async def pull_and_decode(log: JetStreamLog, events: int, gauge: Gauge) -> tuple[Sample, list[Message]]:
    """All of it read and parsed, and the messages."""
    seen, messages = 0, []
    gauge.begin()
    async for batch in log.read(1, ["fleet.>"]):
        for message in batch:
            seen += len(parse(message.subject, message.body, Provenance("FLEET", message.seq, message.at), quick_read).lines)
            messages.append(message)
        if seen >= events:
            return gauge.end(events), messages
    raise AssertionError("the log never ends")


def flush(writer: QuestDbWriter, rows: list[Row], events: int, gauge: Gauge) -> Sample:
    """Ready-made rows written, in ingest's own portions."""
    gauge.begin()
    source = iter(rows)
    while portion := list(islice(source, 2 * LINES_MAX)):
        assert not list(writer.write(portion))
    return gauge.end(events)


def judged(messages: list[Message]) -> Iterator[Judged]:
    calendar = Calendar()
    for message in messages:
        yield from judge(stored_message("FLEET", message), calendar, datetime.now(UTC), quick_read)


async def drain(outside: Rig, settings: FleetSettings, events: int, gauge: Gauge) -> Sample:
    """From ingest's first commit, which does not count, to the last acknowledgement."""
    await api(outside.client, "CONSUMER.DELETE.FLEET.ingest", {}, 5)
    await provision(outside.client)
    gauge.begin()
    async with running_ingest(settings) as ingest, asyncio.timeout(600):
        while not (committed := ingest.counts.lines):
            gauge.begin()
            await asyncio.sleep(0.002)
        await outside.acknowledged(600)
        sample = gauge.end(events - committed)
        await outside.drained()
        assert await outside.count("events where event_type <> 'HEARTBEAT'") == events
        return sample


async def empty(outside: Rig) -> None:
    """Tables without rows, and a database at rest."""
    for table in ALL:
        await outside.sql.ask(f"truncate table {table.name}")
    await applied(outside.sql)
    wait_for_quiet()


LIMITS = ("ingest's drain ÷ pull + decode alone", "ingest's drain ÷ ILP flush alone", "ingest's drain ÷ the slower of both")


async def compare(folder: Path, events: int, rounds: int, say: Callable[[str], None]) -> dict[str, Ratios]:
    """The drain against each limit, and against the slower of them."""
    found = {name: Ratios() for name in LIMITS}
    async with running(folder / "nats", fleet_bytes_max=2 * 1024**3) as nats:
        with questdb(folder / "questdb") as database:
            assert nats.server.process is not None
            assert database.process is not None
            gauge = Gauge((nats.server.process.pid, database.process.pid))
            settings = settings_of(folder, nats, database)
            writer = QuestDbWriter("127.0.0.1", database.settings.http_port, "journal", database.password("journal"))
            async with rig(settings, nats, database) as outside:
                log = outside.logs["FLEET"]
                await fill(log, events)
                async with running_ingest(settings):
                    await outside.drained(600)
                rows = [row for line in judged((await pull_and_decode(log, events, gauge))[1]) for row in line.rows]

                async def limits() -> tuple[Sample, Sample]:
                    await empty(outside)
                    flushed = flush(writer, rows, events, gauge)
                    await empty(outside)
                    read, _ = await pull_and_decode(log, events, gauge)
                    say(f"pull and decode alone: {read.rate:,.0f} events/s, flush alone: {flushed.rate:,.0f} events/s")
                    return read, flushed

                before = await limits()
                for number in range(rounds):
                    drained = await drain(outside, settings, events, gauge)
                    say(f"round {number + 1}/{rounds}  ingest: {drained.rate:,.0f} events/s")
                    after = await limits()
                    slower = min((0, 1), key=lambda limit: before[limit].rate + after[limit].rate)
                    for name, limit in zip(LIMITS, (0, 1, slower), strict=True):
                        found[name].add(drained, before[limit], after[limit])
                    before = after
            writer.close()
    return found


def measure(folder: Path, rounds: int, say: Callable[[str], None], events: int = EVENTS) -> dict[str, Ratios]:
    """The drain against each limit, and against the slower of them; a ratio a round."""
    found = uvloop.run(compare(folder, events, rounds, say))
    for ratios in found.values():
        ratios.latency.clear()
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name), given.rounds, lambda text: print(f"  {text}", file=sys.stderr), given.events)
    for label, ratios in found.items():
        print(f"{label:42} {spread(ratios.rate)}, CPU {spread(ratios.cpu)}")
