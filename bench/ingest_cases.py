"""Ingest's drain of a full stream, rows confirmed and messages acknowledged, against its two limits alone: pulling and decoding
the same stream, and flushing the same rows over ILP. Real NATS, real QuestDB; `--events` mixed events in messages of eight.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from restart import decision
from sampling import Ratios

from fleet_chassis.jetstream import JetStreamLog
from fleet_chassis.log import Message, Stored
from fleet_chassis.questdb_writer import QuestDbWriter
from fleet_chassis.quick_read import quick_read
from fleet_chassis.settings import FleetSettings
from fleet_contracts import Provenance, parse
from fleet_ingest.core.lines import Calendar, Judged, judge
from fleet_ingest.core.rows import Row
from fleet_ingest.pump import stored_message
from fleet_ingest.settings import LINES_MAX
from parts.ingest_rig import Rig, rig, running_ingest, settings_of
from parts.nats import running
from parts.questdb import questdb

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


async def pull_and_decode(log: JetStreamLog, events: int) -> tuple[float, list[Message]]:
    """Seconds to read and parse all of it, and the messages."""
    seen, messages, begun = 0, [], time.perf_counter()
    async for batch in log.read(1, ["fleet.>"]):
        for message in batch:
            seen += len(parse(message.subject, message.body, Provenance("FLEET", message.seq, message.at), quick_read).lines)
            messages.append(message)
        if seen >= events:
            return time.perf_counter() - begun, messages
    raise AssertionError("the log never ends")


def flush(writer: QuestDbWriter, rows: list[Row]) -> float:
    """Seconds to write ready-made rows, in ingest's own portions."""
    begun, source = time.perf_counter(), iter(rows)
    while portion := list(islice(source, 2 * LINES_MAX)):
        assert not list(writer.write(portion))
    return time.perf_counter() - begun


def judged(messages: list[Message]) -> Iterator[Judged]:
    calendar = Calendar()
    for message in messages:
        yield from judge(stored_message("FLEET", message), calendar, datetime.now(UTC), quick_read)


async def drain(outside: Rig, settings: FleetSettings) -> float:
    """Seconds from ingest's first message to the last row acknowledged (its start is waited for with an empty backlog)."""
    begun = time.perf_counter()
    async with running_ingest(settings) as ingest, asyncio.timeout(600):
        while not ingest.counts.lines:
            await asyncio.sleep(0.002)
            begun = time.perf_counter()
        await outside.drained(600)
        return time.perf_counter() - begun


async def rates(folder: Path, events: int, say: Callable[[str], None]) -> tuple[float, float, float]:
    """Events a second: pull + decode alone, flush alone, ingest."""
    async with running(folder / "nats", fleet_bytes_max=2 * 1024**3) as nats:
        with questdb(folder / "questdb") as database:
            settings = settings_of(folder, nats, database)
            async with rig(settings, nats, database) as outside:
                await fill(outside.logs["FLEET"], events)
                drained = await drain(outside, settings)
                say(f"ingest: {events / drained:,.0f} events/s")
                read, messages = await pull_and_decode(outside.logs["FLEET"], events)
                say(f"pull and decode alone: {events / read:,.0f} events/s")
                rows = [row for line in judged(messages) for row in line.rows]
                password = database.password("journal")
                writer = QuestDbWriter("127.0.0.1", database.settings.http_port, "journal", password)
                flushed = flush(writer, rows)
                writer.close()
                say(f"flush of {len(rows):,} ready rows alone: {events / flushed:,.0f} events/s")
                return events / read, events / flushed, events / drained


def measure(folder: Path, rounds: int, say: Callable[[str], None], events: int = EVENTS) -> dict[str, Ratios]:
    """The drain against each limit, and against the slower of them."""
    pull, flushing, drained = asyncio.run(rates(folder, events, say))
    return {
        "ingest's drain ÷ pull + decode alone": Ratios(rate=[drained / pull]),
        "ingest's drain ÷ ILP flush alone": Ratios(rate=[drained / flushing]),
        "ingest's drain ÷ the slower of both": Ratios(rate=[drained / min(pull, flushing)]),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name), 1, lambda text: print(f"  {text}", file=sys.stderr), parser.parse_args().events)
    for label, ratios in found.items():
        print(f"{label:42} {ratios.rate[0]:6.2f}")
