"""The tables of the migrations are the tables the code derives from the models, and those of the wire contract."""

import re
from pathlib import Path

import pytest

from fleet_chassis.questdb_migrations import MigrationError, load_migrations
from fleet_contracts import EVENTS, Stream
from fleet_ingest.core.tables import ALL, EVENT_KEYS, TYPED, TYPED_KEYS, ColumnType, Table

MIGRATIONS = Path(__file__).parents[2] / "deploy" / "questdb" / "migrations"
CREATE = re.compile(
    r"create table if not exists (\w+) \( ?(.*?) ?\) timestamp\(ts\) partition by day wal dedup upsert keys\(([\w, ]+)\)"
)
ADD = re.compile(r"alter table (\w+) add column if not exists (\w+) ([A-Z0-9(),]+)")
WIRE_TABLES = """
trades signals equity heartbeats order_decisions order_events signal_reviews risk_reviews policy_actions proposals
local_verdicts bot_status bot_processes mode_changes risk_state operator_commands anomalies meta_reports events
"""


def tables_of_the_migrations() -> dict[str, tuple[dict[str, str], tuple[str, ...]]]:
    """Name → (column → type, dedup keys), as the files would leave them."""
    found: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {}
    for migration in load_migrations(MIGRATIONS):
        for statement in migration.statements:
            if (created := CREATE.fullmatch(statement)) is not None:
                columns = re.findall(r"(\w+) (\w+(?:\([0-9, ]+\))?)(?:, |$)", created[2])
                found[created[1]] = (dict(columns), tuple(re.split(", ?", created[3])))
            else:
                added = ADD.fullmatch(statement)
                assert added is not None, f"{migration.name}: neither a new table nor one new column: {statement}"
                found[added[1]][0][added[2]] = added[3]
    return found


def test_the_contract_names_these_tables() -> None:
    assert {table.name for table in ALL} == set(WIRE_TABLES.split())


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_a_table_is_made_as_its_model_needs_it(table: Table) -> None:
    columns, keys = tables_of_the_migrations()[table.name]
    assert columns == table.types
    assert keys == table.keys


def test_the_migrations_make_no_table_that_nobody_writes() -> None:
    assert tables_of_the_migrations().keys() == {table.name for table in ALL}


@pytest.mark.parametrize("table", TYPED.values(), ids=lambda table: table.name)
def test_a_typed_table_tells_events_apart_by_time_account_source_and_id(table: Table) -> None:
    assert table.keys == TYPED_KEYS
    assert set(TYPED_KEYS) <= table.types.keys()


def test_events_tells_lines_apart_by_their_place() -> None:
    events = next(table for table in ALL if table.name == "events")
    assert events.keys == EVENT_KEYS == ("ts", "stream", "seq", "line")


def test_heartbeats_are_kept_two_weeks_and_all_else_90_days() -> None:
    assert {table.name: table.keep_days for table in ALL if table.keep_days != 90} == {"heartbeats": 14}


def test_every_event_with_a_table_in_the_registry_has_it_here() -> None:
    assert {spec.type: spec.table for spec in EVENTS if spec.table} == {kind: table.name for kind, table in TYPED.items()}
    assert not [spec for spec in EVENTS if spec.table and spec.stream is Stream.MARKET]


def test_money_is_exact_and_ids_are_not_symbols() -> None:
    for table in ALL:
        for name, kind in table.types.items():
            if name.endswith("_id"):
                assert kind == ColumnType.VARCHAR, f"{table.name}.{name}"
            if name in ("price", "qty", "pnl", "equity", "fee", "value", "limit_value"):
                assert kind == ColumnType.DECIMAL, f"{table.name}.{name}"


def test_no_two_columns_differ_only_in_case() -> None:
    for table in ALL:
        assert len({name.lower() for name in table.types}) == len(table.types)


@pytest.mark.parametrize(
    "names", [["0002_late.sql"], ["0001_a.sql", "0001_b.sql"], ["0001_a.sql", "0003_c.sql"], ["first.sql"], []]
)
def test_migrations_with_a_gap_a_repeat_or_another_name_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("create table x (ts TIMESTAMP);")
    with pytest.raises(MigrationError):
        load_migrations(tmp_path)


def test_a_migration_is_its_statements_without_comments(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text(
        "-- why; not a statement\nalter table t\n  add column a INT;\n\nalter table t add column b INT;\n"
    )
    assert load_migrations(tmp_path)[0].statements == ("alter table t add column a INT", "alter table t add column b INT")
