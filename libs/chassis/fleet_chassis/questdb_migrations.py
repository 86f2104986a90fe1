"""Brings QuestDB's tables to where the code needs them: numbered SQL files, each applied once, only ever adding.

Safe to run again at any time and after a crash at any point: every statement is one that changes nothing the second time.
QuestDB answers OK before a change can be seen, and answers OK to `create table if not exists` of a different table:
hence the waiting, and the look at what is really there.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet_chassis.questdb_sql import QuestDbSql, SqlRefused

VISIBLE_S_MAX = 20.0
LOOK_AGAIN_S = 0.05
_NAME = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
_HOURS = {"HOUR": 1, "DAY": 24, "WEEK": 168}
"""QuestDB turns 14 days into two weeks, and none into zero hours."""
_RECORDS = (
    "create table if not exists schema_version (ts TIMESTAMP, version LONG, name VARCHAR) "
    "timestamp(ts) partition by year wal dedup upsert keys(ts, version)"
)


class MigrationError(RuntimeError):
    """The tables are not, and cannot be made, what the code needs. The text is one line that says what differs."""


@dataclass(frozen=True, slots=True)
class Migration:
    """A numbered file and its statements."""

    version: int
    name: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A table as the code needs it: column → type (more columns do no harm), its dedup keys, days to keep (0: for ever)."""

    name: str
    columns: Mapping[str, str]
    keys: frozenset[str]
    keep_days: int


def load_migrations(folder: Path) -> list[Migration]:
    """The files of a folder in order. Raises `MigrationError` for a gap, a repeat, or a name that is none."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name} is not named like 0001_what_it_does.sql")
        text = _COMMENT.sub("", path.read_text())
        statements = tuple(" ".join(part.split()) for part in text.split(";") if part.strip())
        found.append(Migration(int(match[1]), path.stem, statements))
    if [migration.version for migration in found] != list(range(1, len(found) + 1)) or not found:
        raise MigrationError(f"the migrations in {folder} are not numbered 0001, 0002, …")
    return found


async def migrate(sql: QuestDbSql, migrations: Sequence[Migration], wanted: Sequence[Wanted]) -> list[str]:
    """Apply what is new, set the retention, make sure that everything is there; the names of what was applied.

    Raises `MigrationError`, `SqlRefused`, `SqlUnavailable`.
    """
    await sql.ask(_RECORDS)
    await _visible(sql, "the table schema_version", "select count() from schema_version", lambda rows: bool(rows))
    recorded = {int(row[0]) for row in (await sql.ask("select distinct version from schema_version")).rows}
    unknown = max(recorded, default=0)
    if unknown > len(migrations):
        raise MigrationError(
            f"the database is at version {unknown}, this build knows {len(migrations)}: it is older; upgrade it"
        )
    new = [migration for migration in migrations if migration.version not in recorded]
    for migration in new:
        for statement in migration.statements:
            await sql.ask(statement)
    for table in wanted:
        await _agrees(sql, table)
        await _keeps(sql, table)
    for migration in new:
        await sql.ask(f"insert into schema_version values (now(), {migration.version}, '{migration.name}')")
        count = f"select count() from schema_version where version = {migration.version}"
        await _visible(sql, f"the record of {migration.name}", count, lambda rows: rows[0][0] > 0)
    return [migration.name for migration in new]


async def _agrees(sql: QuestDbSql, table: Wanted) -> None:
    """Wait until the table has every column; raise when one of them is another than it should be."""
    question = f'select "column", type, "upsertKey" from table_columns(\'{table.name}\')'

    def all_there(rows: Sequence[Sequence[Any]]) -> bool:
        return set(table.columns) <= {row[0] for row in rows}

    rows = await _visible(sql, f"every column of {table.name} ({', '.join(table.columns)})", question, all_there)
    types = {str(name): str(kind) for name, kind, _ in rows}
    for name, kind in table.columns.items():
        if types[name] != kind:
            raise MigrationError(f"the column {table.name}.{name} is {types[name]} and should be {kind}")
    keys = {str(name) for name, _, key in rows if key}
    if keys != table.keys:
        raise MigrationError(f"{table.name} has the dedup keys {sorted(keys)} and should have {sorted(table.keys)}")


async def _keeps(sql: QuestDbSql, table: Wanted) -> None:
    """Set the table's retention."""

    def set_so(rows: Sequence[Sequence[Any]]) -> bool:
        value, unit = rows[0]
        return bool(int(value) * _HOURS.get(unit, 0) == 24 * table.keep_days)

    question = f"select ttlValue, ttlUnit from tables() where table_name = '{table.name}'"
    if not set_so((await sql.ask(question)).rows):
        await sql.ask(f"alter table {table.name} set ttl {table.keep_days} days")
        await _visible(sql, f"the retention of {table.name}", question, set_so)


async def _visible(
    sql: QuestDbSql, what: str, question: str, seen: Callable[[Sequence[Sequence[Any]]], bool]
) -> Sequence[Sequence[Any]]:
    """Ask until `seen` is content: the rows. Raises `MigrationError` when it takes too long."""
    refusal = ""
    try:
        async with asyncio.timeout(VISIBLE_S_MAX):
            while True:
                try:
                    rows = (await sql.ask(question)).rows
                    if seen(rows):
                        return rows
                except SqlRefused as error:
                    refusal = f": {error}"
                await asyncio.sleep(LOOK_AGAIN_S)
    except TimeoutError:
        raise MigrationError(f"{what} cannot be seen after {VISIBLE_S_MAX:.0f} s{refusal}") from None
