"""The QuestDB part of the chassis against the real server: settings, users, migrations, refusals, a freeze."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from fleet_chassis.questdb_migrations import Migration, MigrationError, Wanted, load_migrations, migrate
from fleet_chassis.questdb_server import ADMIN, JOURNAL, READER, SettingIgnored, check_essentials
from fleet_chassis.questdb_sql import QuestDbSql, SqlRefused
from fleet_chassis.questdb_writer import Outage, QuestDbWriter, SchemaBehind
from fleet_ingest.database import wanted_tables
from parts.questdb import QuestDb, applied, questdb

MIGRATIONS = Path(__file__).parents[2] / "deploy" / "questdb" / "migrations"
AT_US = 1_767_607_200_123_456
pytestmark = pytest.mark.real


@dataclass
class Row:
    table: str
    columns: dict[str, Any]
    at_us: int = AT_US


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestDb]:
    """One of its own: these tests give the database other tables than ingest would."""
    with questdb(tmp_path_factory.mktemp("questdb")) as made:
        yield made


@pytest_asyncio.fixture
async def sql(server: QuestDb) -> AsyncIterator[QuestDbSql]:
    async with server.sql() as made:
        yield made


@pytest.fixture
def writer(server: QuestDb) -> Iterator[QuestDbWriter]:
    made = QuestDbWriter("127.0.0.1", server.settings.http_port, JOURNAL, server.password(JOURNAL))
    yield made
    made.close()


async def connect(server: QuestDb, user: str) -> Any:
    return await asyncpg.connect(
        host="127.0.0.1", port=server.settings.pg_port, user=user, password=server.password(user), database="qdb", timeout=5
    )


async def test_the_server_takes_every_setting(server: QuestDb, sql: QuestDbSql) -> None:
    await server.settings.check(sql)
    await check_essentials(sql, "nosync")
    with pytest.raises(SettingIgnored, match=r"cairo\.commit\.mode=nosync"):
        await check_essentials(sql, "sync")


async def test_a_wrong_password_is_refused(server: QuestDb) -> None:
    async with QuestDbSql(server.url, JOURNAL, "wrong") as stranger:
        with pytest.raises(SqlRefused):
            await stranger.ask("select 1")


async def test_migrations_run_again_change_nothing(sql: QuestDbSql) -> None:
    migrations, wanted = load_migrations(MIGRATIONS), wanted_tables(expires=True)
    await migrate(sql, migrations, wanted)
    shape = "select table_name, ttlValue, ttlUnit, walEnabled, dedup from tables() order by table_name"
    before = (await sql.ask(shape)).rows
    assert await migrate(sql, migrations, wanted) == []
    assert (await sql.ask(shape)).rows == before
    assert all(wal and dedup for *_, wal, dedup in before)


async def test_a_migration_that_was_interrupted_is_finished(sql: QuestDbSql, tmp_path: Path) -> None:
    """The tables are made, the record is not: as after a crash between the two."""
    shutil.copytree(MIGRATIONS, tmp_path, dirs_exist_ok=True)
    number = len(list(tmp_path.iterdir())) + 1
    (tmp_path / f"{number:04}_half.sql").write_text(
        "create table if not exists half (ts TIMESTAMP) timestamp(ts) partition by day wal dedup upsert keys(ts);\n"
        "alter table half add column if not exists a LONG;\nalter table half add column if not exists b SYMBOL;\n"
    )
    migrations = load_migrations(tmp_path)
    await migrate(sql, migrations[:-1], [])
    for statement in migrations[-1].statements[:2]:
        await sql.ask(statement)
    wanted = [Wanted("half", {"a": "LONG", "b": "SYMBOL"}, frozenset({"ts"}), 0)]
    assert await migrate(sql, migrations, wanted) == [f"{number:04}_half"]
    assert await migrate(sql, migrations, wanted) == []
    with pytest.raises(MigrationError, match="older"):
        await migrate(sql, migrations[:-1], [])


async def applied_so_far(sql: QuestDbSql) -> list[Migration]:
    """As many migrations as this database has seen, whichever tests ran before."""
    known = load_migrations(MIGRATIONS)
    try:
        recorded = int((await sql.ask("select max(version) from schema_version")).first)
    except SqlRefused:
        await migrate(sql, known, [])
        return known
    return known + known[-1:] * (recorded - len(known))


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted("odd", {"a": "DOUBLE"}, frozenset({"ts"}), 0), "odd.a is LONG and should be DOUBLE"),
        (Wanted("odd", {"a": "LONG"}, frozenset({"ts", "a"}), 0), "dedup keys"),
    ],
)
async def test_a_table_that_is_another_than_it_should_be_is_named(sql: QuestDbSql, wanted: Wanted, says: str) -> None:
    await sql.ask(
        "create table if not exists odd (ts TIMESTAMP, a LONG) timestamp(ts) partition by day wal dedup upsert keys(ts)"
    )
    known = await applied_so_far(sql)
    with pytest.raises(MigrationError, match=says):
        await migrate(sql, known, [wanted])


async def test_retention_is_set_changed_and_taken_away(sql: QuestDbSql) -> None:
    await sql.ask("create table if not exists kept (ts TIMESTAMP) timestamp(ts) partition by day wal dedup upsert keys(ts)")
    known = await applied_so_far(sql)
    for days, shown in ((90, (90, "DAY")), (14, (2, "WEEK")), (0, (0, "HOUR"))):
        await migrate(sql, known, [Wanted("kept", {}, frozenset({"ts"}), days)])
        assert (await sql.ask("select ttlValue, ttlUnit from tables() where table_name = 'kept'")).rows == (shown,)


async def test_the_reader_reads_and_changes_nothing(server: QuestDb, sql: QuestDbSql) -> None:
    await sql.ask("create table if not exists readable (ts TIMESTAMP, a LONG) timestamp(ts) partition by day wal")
    admin, reader = await connect(server, ADMIN), await connect(server, READER)
    try:
        await admin.execute("insert into readable values (now(), 7)")
        await applied(sql)
        assert await reader.fetchval("select a from readable") == 7
        for statement in (
            "insert into readable values (now(), 8)",
            "create table mine (a LONG)",
            "drop table readable",
            "alter table readable add column b LONG",
            "truncate table readable",
        ):
            with pytest.raises(asyncpg.PostgresError, match="denied"):
                await reader.execute(statement)
        assert await reader.fetchval("select count() from readable") == 1
    finally:
        await admin.close()
        await reader.close()


async def poison_table(sql: QuestDbSql) -> str:
    await sql.ask(
        "create table if not exists poison (ts TIMESTAMP, id VARCHAR, n LONG, amount DECIMAL(38,12), at TIMESTAMP, "
        "flag BOOLEAN) timestamp(ts) partition by day wal dedup upsert keys(ts, id)"
    )
    await sql.ask("truncate table poison")
    return "poison"


async def test_bad_rows_of_every_kind_are_picked_out_and_their_neighbours_land(sql: QuestDbSql, writer: QuestDbWriter) -> None:
    table = await poison_table(sql)
    bad: dict[int, dict[str, Any]] = {
        0: {"n": "text"},
        7: {"amount": Decimal("1.0000000000001")},
        8: {"amount": Decimal(10) ** 30},
        500: {"at": "yesterday"},
        501: {"flag": 7},
        502: {"n": 2**70},
        998: {"id": "\ud800"},
        999: {"n": 1.5},
    }
    rows = [Row(table, {"id": f"i{number}", "n": number} | bad.get(number, {})) for number in range(1000)]
    faults = writer.write(rows)
    assert sorted(fault.index for fault in faults) == sorted(bad)
    assert all(fault.detail for fault in faults)
    await applied(sql)
    assert (await sql.ask("select count(), count_distinct(id) from poison")).rows == ((992, 992),)


async def test_rows_written_twice_are_there_once(sql: QuestDbSql, writer: QuestDbWriter) -> None:
    table = await poison_table(sql)
    rows = [Row(table, {"id": f"i{number}", "n": number}, AT_US + number % 7) for number in range(300)]
    assert writer.write(rows) == writer.write(rows[::-1]) == []
    await applied(sql)
    assert (await sql.ask("select count(), sum(n) from poison")).rows == ((300, sum(range(300))),)


async def test_a_missing_table_or_column_blames_no_row_and_is_taken_once_it_is_there(
    sql: QuestDbSql, writer: QuestDbWriter
) -> None:
    with pytest.raises(SchemaBehind):
        writer.write([Row("not_there", {"id": "x"})])
    table = await poison_table(sql)
    assert writer.write([Row(table, {"id": "x"})]) == []
    with pytest.raises(SchemaBehind):
        writer.write([Row(table, {"id": "y", "grown": "z"})])
    await sql.ask("alter table poison add column grown VARCHAR")
    await applied(sql)
    assert writer.write([Row(table, {"id": "y", "grown": "z"})]) == []


async def test_a_frozen_server_is_an_outage_in_time_and_loses_nothing(
    server: QuestDb, sql: QuestDbSql, writer: QuestDbWriter
) -> None:
    table = await poison_table(sql)
    writer.write([Row(table, {"id": "before"})])
    server.freeze()
    try:
        await asyncio.sleep(0.2)  # a freeze takes a moment to reach every thread
        started = time.monotonic()
        with pytest.raises(Outage):
            writer.write([Row(table, {"id": "during"})])
        assert time.monotonic() - started < 15
    finally:
        server.thaw()
    assert writer.write([Row(table, {"id": "during"})]) == []
    await applied(sql)
    assert (await sql.ask("select id from poison order by id")).rows == (("before",), ("during",))


async def test_texts_of_every_character_come_back(sql: QuestDbSql, writer: QuestDbWriter) -> None:
    await sql.ask(
        "create table if not exists texts (ts TIMESTAMP, id VARCHAR, small SYMBOL) timestamp(ts) partition by day wal "
        "dedup upsert keys(ts, id)"
    )
    texts = ["", " ", "a\nb\r\t", '"', "\\", "a=b,c d", "é ␀ 😀 \u2028", *map(chr, range(1, 32))]
    assert writer.write([Row("texts", {"id": text, "small": text}, AT_US + number) for number, text in enumerate(texts)]) == []
    await applied(sql)
    assert [row for row in (await sql.ask("select id, small from texts")).rows] == [(text, text) for text in texts]
