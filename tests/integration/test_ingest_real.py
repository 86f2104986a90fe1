"""ingest between a real NATS and a real QuestDB: typed rows, exactly once, letters, replay, and every part killed or frozen.

One file, though long: its two servers start once for all of it.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fleet_chassis.clock import wall_clock
from fleet_chassis.fleet_init import provision
from fleet_chassis.jetstream_api import api
from fleet_chassis.settings import FleetSettings
from fleet_contracts import BY_TOKEN, Provenance, Stream, parse
from fleet_ingest.core.rows import typed_row
from fleet_ingest.core.tables import TYPED, ColumnType
from fleet_ingest.replay import SUBJECT
from fleet_ingest.service import Ingest
from parts.freeze import example_files, line_of, subject_of
from parts.ingest_rig import Rig, rig, running_ingest, settings_of
from parts.nats import Nats, started
from parts.questdb import QuestDb

LEADER = "risk-gateway-1.7"
pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    """One of its own: here FLEET holds what these tests put there."""
    with started(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, nats: Nats, one_questdb: QuestDb) -> FleetSettings:
    return settings_of(tmp_path_factory.mktemp("ingest"), nats, one_questdb)


@pytest_asyncio.fixture
async def world(settings: FleetSettings, nats: Nats, one_questdb: QuestDb) -> AsyncIterator[Rig]:
    async with rig(settings, nats, one_questdb) as outside:
        yield outside


def trade(number: int, **more: object) -> dict[str, object]:
    named = {"symbol": "BTC-PERP", "side": "BUY", "price": "43000.5", "qty": "0.01", "pnl": "-1.25", "event_id": f"t{number}"}
    return named | more


def now_text(**offset: float) -> str:
    return (datetime.now(UTC) + timedelta(**offset)).isoformat()


async def well(ingest: Ingest) -> None:
    """Wait until nothing is in its way; some conditions are looked at once a second."""
    async with asyncio.timeout(10):
        while ingest.conditions.not_ready is not None:
            await asyncio.sleep(0.05)


async def lines_of_fleet(world: Rig) -> int:
    """What the stream holds, counted from the stream."""
    count, seq = 0, 1
    while (message := await world.logs["FLEET"].first(seq, "fleet.>", timeout_s=5)) is not None:
        count += sum(1 for line in message.body.split(b"\n") if line.strip())
        seq = message.seq + 1
    return count


async def publish_trades(world: Rig, account: str, numbers: range) -> None:
    for start in range(numbers.start, numbers.stop, 100):
        part = range(start, min(start + 100, numbers.stop))
        await asyncio.gather(*(world.publish(f"fleet.{account}.trade.qe1", trade(number)) for number in part))


async def assert_once(world: Rig, account: str, count: int) -> None:
    """All trades of the account are there, each once, as lines and as rows."""
    where = f"account = '{account}'"
    found = await world.rows(f"select count() n, count_distinct(event_id) d from trades where {where}")
    assert found == [{"n": count, "d": count}]
    assert await world.count(f"events where {where}") == count


async def test_an_event_of_every_type_lands_typed_with_its_values(settings: FleetSettings, world: Rig) -> None:
    wanted = {}
    for number, path in enumerate(path for path in example_files() if BY_TOKEN[path.stem.split(".")[0]].journaled):
        spec = BY_TOKEN[path.stem.split(".")[0]]
        line = json.loads(line_of(path)) | {
            "event_id": f"example-{number}",
            "ts": now_text(seconds=-number),
        }
        raw = json.dumps(line).encode()
        subject = subject_of(spec, raw)
        await world.publish(subject, raw, Fleet_Leader=LEADER)
        parsed = parse(subject, raw, Provenance(spec.stream, 1, datetime.now(UTC)))
        assert not parsed.bad, path.name
        if spec.type in TYPED:
            wanted[f"example-{number}"] = (TYPED[spec.type], typed_row(parsed.lines[0].event, TYPED[spec.type]))
    async with running_ingest(settings):
        await world.drained()
    for event_id, (table, row) in wanted.items():
        (found,) = await world.rows(f"select * from {table.name} where event_id = '{event_id}'")
        for column in table.columns:
            assert as_python(column.type, found[column.name]) == row.columns.get(column.name), f"{table.name}.{column.name}"
    assert {table.name for table, _ in wanted.values()} == {table.name for table in TYPED.values()}
    assert await world.letters() == {}


def as_python(kind: ColumnType, value: Any) -> Any:
    if value is None:
        return None
    match kind:
        case ColumnType.DECIMAL:
            return Decimal(value)
        case ColumnType.TIMESTAMP:
            return datetime.fromisoformat(value)
        case _:
            return value


async def test_bad_lines_of_every_kind_become_letters_and_their_neighbours_land(settings: FleetSettings, world: Rig) -> None:
    good = [json.dumps(trade(number)).encode() for number in range(4)]
    long = json.dumps(trade(9, note="x" * 600_000)).encode()
    bad = {
        1: (b'{"symbol": "BTC', "NOT_JSON"),
        3: (json.dumps(trade(5, qty="-1")).encode(), "INVALID"),
        4: (json.dumps(trade(6, source="qe2")).encode(), "SUBJECT_MISMATCH"),
        6: (json.dumps(trade(7, ts="2001-01-01T00:00:00Z")).encode(), "BAD_TS"),
        7: (json.dumps(trade(8, ts=now_text(days=3))).encode(), "BAD_TS"),
        8: (long, "TOO_LARGE"),
        9: (b"\xff\x00\xfe", "NOT_JSON"),
    }
    lines = [good[0], bad[1][0], b"", bad[3][0], bad[4][0], good[1], *(bad[line][0] for line in (6, 7, 8, 9)), good[2], good[3]]
    async with running_ingest(settings):
        seq = await world.publish("fleet.poison.trade.qe1", *lines)
        lonely = await world.publish("fleet.poison.risk_state.risk-gateway", {"trading_state": "HALTED"})
        after = await world.publish("fleet.poison.trade.qe1", trade(20))
        await world.drained()
    letters = await world.letters()
    for line, (body, reason) in bad.items():
        letter = letters[f"FLEET.{seq}.{line}"]
        assert (letter.subject, letter.body) == (f"dead.ingest.{reason}", body)
        assert letter.headers["Fleet-Subject"] == "fleet.poison.trade.qe1"
    assert letters[f"FLEET.{lonely}.0"].subject == "dead.ingest.INVALID"
    assert len(letters) == len(bad) + 1
    assert [
        row["event_id"] for row in await world.rows("select event_id from trades where account = 'poison' order by event_id")
    ] == [
        "t0",
        "t1",
        "t2",
        "t20",
        "t3",
    ]
    assert await world.count("risk_state where account = 'poison'") == 0
    kept = await world.rows(f"select line, length(body) size from events where stream = 'FLEET' and seq = {seq} order by line")
    assert [row["line"] for row in kept] == [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert next(row["size"] for row in kept if row["line"] == 8) == 65_536
    assert await world.count(f"events where stream = 'FLEET' and seq in ({lonely}, {after})") == 2


async def test_what_comes_again_is_there_once(settings: FleetSettings, world: Rig) -> None:
    """The consumer forgets every acknowledgement, as after a killed broker; and is away for a moment."""
    async with running_ingest(settings) as ingest:
        await publish_trades(world, "again", range(300))
        await world.drained()
        before = ingest.counts.messages, len(await world.letters())
        await api(world.client, "CONSUMER.DELETE.FLEET.ingest", {}, 5)
        await asyncio.sleep(0.2)
        await provision(world.client)
        await world.drained()
        assert ingest.counts.messages >= before[0] + 300
        await well(ingest)
    await assert_once(world, "again", 300)
    assert len(await world.letters()) == before[1]


async def test_a_heartbeat_stream_lands_too(settings: FleetSettings, world: Rig) -> None:
    async with running_ingest(settings):
        await world.publish("fleet.beats.heartbeat.qe1", {"pid": 9, "seq": 1}, {"pid": 9, "seq": 2, "uptime_s": 1.5})
        await world.drained()
    assert [row["event_id"] for row in await world.rows("select event_id from heartbeats where account = 'beats'")] == [
        "hb-9-1",
        "hb-9-2",
    ]
    assert await world.count("events where account = 'beats' and stream = 'HEARTBEAT'") == 2


async def test_a_letter_is_replayed_on_request_and_nothing_is_doubled(settings: FleetSettings, nats: Nats, world: Rig) -> None:
    """A clock that was three days slow made good lines bad."""
    async with running_ingest(settings, clock=lambda: wall_clock() - timedelta(days=3)):
        seq = await world.publish("fleet.replayed.trade.qe1", trade(1), b"nope", trade(2))
        await world.drained()
    assert await world.count("trades where account = 'replayed'") == 0
    letters = await world.letters()
    async with running_ingest(settings) as ingest, nats.connect("operator") as operator:
        async with asyncio.timeout(10):
            while not ingest.counts.messages and ingest.conditions.not_ready:
                await asyncio.sleep(0.02)
        question = {"origins": [f"FLEET.{seq}.{line}" for line in (0, 1, 2, 7)]}
        answer = json.loads((await _request(operator, question)).data)
        assert [result["result"] for result in answer["results"]] == ["stored", "bad", "stored", "missing"]
        wanted = {"filter": {"reason": "BAD_TS", "subject": "fleet.replayed.trade.qe1"}}
        again = json.loads((await _request(operator, wanted)).data)
        assert (again["stored"], again["next"]) == (2, None)
        refused = json.loads((await _request(operator, {"origin": "FLEET.1.0"})).data)
        assert refused["code"] == "INVALID_REQUEST"
        await world.drained()
    await assert_once_ids(world, "replayed", ["t1", "t2"])
    assert (await world.letters()).keys() == letters.keys()


async def _request(client: Any, question: object) -> Any:
    async with asyncio.timeout(10):
        while True:
            try:
                return await client.request(SUBJECT, json.dumps(question).encode(), timeout=5)
            except Exception as error:
                if type(error).__name__ != "NoRespondersError":
                    raise
                await asyncio.sleep(0.05)


async def assert_once_ids(world: Rig, account: str, ids: list[str]) -> None:
    rows = await world.rows(f"select event_id from trades where account = '{account}' order by event_id")
    assert [row["event_id"] for row in rows] == ids


async def test_questdb_killed_and_back_the_backlog_survives(settings: FleetSettings, one_questdb: QuestDb, world: Rig) -> None:
    async with running_ingest(settings) as ingest:
        await publish_trades(world, "killed", range(1000))
        async with asyncio.timeout(20):
            while not ingest.counts.messages:
                await asyncio.sleep(0.01)
        one_questdb.kill()
        await publish_trades(world, "killed", range(1000, 2000))
        async with asyncio.timeout(20):
            while "QuestDB" not in ingest.conditions:
                await asyncio.sleep(0.02)
        assert "the backlog waits" in (ingest.conditions.not_ready or "")
        assert ingest.counts.lag["FLEET"].messages > 0
        one_questdb.start()
        await one_questdb.ready()
        await world.drained(60)
        await well(ingest)
    await assert_once(world, "killed", 2000)


async def test_questdb_frozen_and_thawed_the_stuck_connection_is_rebuilt(
    settings: FleetSettings, one_questdb: QuestDb, world: Rig
) -> None:
    async with running_ingest(settings) as ingest:
        await publish_trades(world, "frozen", range(100))
        await world.drained()
        one_questdb.freeze()
        try:
            await publish_trades(world, "frozen", range(100, 500))
            async with asyncio.timeout(30):
                while "QuestDB" not in ingest.conditions:
                    await asyncio.sleep(0.05)
            assert ingest.counts.lag["FLEET"].messages > 0
        finally:
            one_questdb.thaw()
        await world.drained(60)
        assert ingest.counts.outages > 0
        await well(ingest)
    await assert_once(world, "frozen", 500)


async def test_a_writer_that_never_answers_is_replaced(
    settings: FleetSettings, world: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from fleet_chassis.questdb_writer import QuestDbWriter
    from fleet_ingest import journal

    monkeypatch.setattr(journal, "WRITE_S_MAX", 0.5)
    gate, write = threading.Event(), QuestDbWriter.write

    def stuck_once(self: QuestDbWriter, rows: Any) -> Any:
        if any(row.columns.get("account") == "stuck" for row in rows) and not gate.is_set():
            gate.wait(20)
        return write(self, rows)

    monkeypatch.setattr(QuestDbWriter, "write", stuck_once)
    async with running_ingest(settings) as ingest:
        await publish_trades(world, "stuck", range(10))
        async with asyncio.timeout(20):
            while not ingest.counts.stalls:
                await asyncio.sleep(0.02)
        gate.set()
        await world.drained()
        await well(ingest)
    await assert_once(world, "stuck", 10)


async def test_nats_killed_and_back_everything_arrives(settings: FleetSettings, nats: Nats, world: Rig) -> None:
    async with running_ingest(settings) as ingest:
        await publish_trades(world, "nats", range(500))
        nats.server.kill()
        async with asyncio.timeout(20):
            while "NATS" not in ingest.conditions:
                await asyncio.sleep(0.05)
        nats.server.start()
        async with asyncio.timeout(30):
            while not world.client.is_connected:
                await asyncio.sleep(0.05)
        await publish_trades(world, "nats", range(500, 600))
        await world.drained(60)
        await well(ingest)
    await assert_once(world, "nats", 600)


async def test_without_room_nothing_is_written_until_there_is(settings: FleetSettings, world: Rig) -> None:
    free = [10]
    async with running_ingest(settings, free_bytes=lambda: (free[0], 10**12)) as ingest:
        await publish_trades(world, "room", range(10))
        async with asyncio.timeout(20):
            while "room" not in ingest.conditions:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        assert ingest.counts.rows == 0
        assert "MB left" in (ingest.conditions.not_ready or "")
        free[0] = 10**11
        await world.drained()
    await assert_once(world, "room", 10)


async def test_ingest_killed_in_the_middle_loses_and_doubles_nothing(settings: FleetSettings, world: Rig) -> None:
    await publish_trades(world, "victim", range(4000))
    for _ in range(2):
        async with ingest_process(settings), asyncio.timeout(30):
            while not await pending_less_than(world, 4000):
                await asyncio.sleep(0.01)
    async with ingest_process(settings) as process:
        await world.drained(60)
        port = settings.fleet_home.port_file("ingest").read_text().strip()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            assert (await http.get("/healthz")).status_code == 200
            assert (await http.get("/readyz")).json() == {"status": "ready"}
            metrics = (await http.get("/metrics")).text
        process.terminate()
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    assert 'ingest_lag_messages{stream="FLEET"} 0.0' in metrics
    assert "ingest_rows_total" in metrics
    await assert_once(world, "victim", 4000)


@asynccontextmanager
async def ingest_process(settings: FleetSettings) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m fleet_ingest`; SIGKILL at the end, unless it has ended before."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    environment |= {
        "FLEET_HOME": str(settings.home),
        "FLEET_CONFIG": str(settings.config),
        "FLEET_NATS_URL": settings.nats,
        "FLEET_QUESTDB_HTTP_PORT": str(settings.questdb_http_port),
        "FLEET_QUESTDB_COMMIT": settings.questdb_commit,
    }
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fleet_ingest", env=environment, stdout=null, stderr=null
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def pending_less_than(world: Rig, count: int) -> bool:
    answer = await api(world.client, "CONSUMER.INFO.FLEET.ingest", {}, 5)
    return int(answer["num_pending"]) + int(answer["num_ack_pending"]) < count


async def test_a_fleet_with_a_virtual_clock_keeps_years_old_rows(settings: FleetSettings, world: Rig, tmp_path: Path) -> None:
    for name in ("supervisor.yaml", "risk.yaml"):
        text = (settings.config / name).read_text()
        (tmp_path / name).write_text(text.replace("clock: wall", "clock: event").replace("mode: demo", "mode: paper"))
    async with running_ingest(settings.model_copy(update={"config": tmp_path})):
        await world.publish("fleet.main.trade.qe1", trade(1, ts="2022-01-05T00:00:00Z", event_id="old"))
        await world.drained()
        assert (
            await world.sql.ask("select count() from tables() where ttlValue > 0 and table_name <> 'schema_version'")
        ).first == 0
    assert await world.count("trades where event_id = 'old'") == 1


async def test_every_line_of_the_log_is_in_events_once(settings: FleetSettings, nats: Nats, world: Rig) -> None:
    """Whatever the tests before this one did to the servers."""
    async with running_ingest(settings):
        await world.publish("fleet.last.trade.qe1", trade(1), b"", trade(2))
        await world.drained()
    first = await world.logs["FLEET"].first(1, "fleet.>", timeout_s=5)
    assert first is not None
    since = first.at.isoformat().replace("+00:00", "Z")
    counted = await world.rows(f"select count() n from events where stream = '{Stream.FLEET}' and ts >= '{since}'")
    assert counted == [{"n": await lines_of_fleet(world)}]
