"""Room and suspended tables: when writing stops, what is said, and that it goes on by itself."""

import pytest

from fleet_chassis.questdb_sql import Answer, SqlUnavailable
from fleet_ingest.conditions import Conditions
from fleet_ingest.core.tables import ALL
from fleet_ingest.database import Database, wanted_tables
from fleet_ingest.metrics import Counts

GB = 10**9


class FakeSql:
    """Answers what the test says about suspended tables, and remembers what it was told to do."""

    def __init__(self) -> None:
        self.suspended: list[str] = []
        self.away = False
        self.told: list[str] = []

    async def ask(self, statement: str) -> Answer:
        if self.away:
            raise SqlUnavailable("away")
        if statement.startswith("alter"):
            self.told.append(statement)
        return Answer(("name",), tuple((name,) for name in self.suspended))


class Room:
    def __init__(self, free: int, total: int) -> None:
        self.free, self.total = free, total

    def __call__(self) -> tuple[int, int]:
        if self.total == 0:
            raise FileNotFoundError
        return self.free, self.total


def database(room: Room, sql: FakeSql | None = None, least: int = GB) -> tuple[Database, Conditions, Counts]:
    conditions, counts = Conditions(), Counts()
    made = Database(
        sql or FakeSql(),  # type: ignore[arg-type]
        [],
        expires=True,
        commit="sync",
        free_bytes=room,
        free_bytes_min=least,
        conditions=conditions,
        counts=counts,
    )
    return made, conditions, counts


@pytest.mark.parametrize(
    ("free", "total", "writes"),
    [
        (GB, 500 * GB, True),
        (GB - 1, 500 * GB, False),
        (GB // 2, 4 * GB, True),
        (GB // 3, 4 * GB, False),
        (0, 4 * GB, False),
    ],
)
def test_writing_stops_below_a_gigabyte_or_a_tenth_of_a_small_disk(free: int, total: int, writes: bool) -> None:
    made, conditions, counts = database(Room(free, total))
    assert made.look_at_room() is writes
    assert made.open is writes
    assert (conditions.not_ready is None) is writes
    assert counts.free_bytes == free


def test_writing_goes_on_when_there_is_room_again() -> None:
    room = Room(0, 100 * GB)
    made, conditions, _ = database(room)
    made.look_at_room()
    assert not made.open
    room.free = 50 * GB
    made.look_at_room()
    assert made.open
    assert conditions.not_ready is None


def test_a_disk_that_cannot_be_seen_from_here_stops_nothing() -> None:
    made, _, counts = database(Room(0, 0))
    made.look_at_room()
    assert made.open
    assert counts.free_bytes is None


async def test_a_suspended_table_is_told_of_and_woken_once_in_a_while() -> None:
    sql = FakeSql()
    made, conditions, _ = database(Room(50 * GB, 100 * GB), sql)
    sql.suspended = ["trades"]
    for _ in range(3):
        await made.look_at_tables()
    assert "trades" in (conditions.not_ready or "")
    assert sql.told == ['alter table "trades" resume wal']
    sql.suspended = []
    await made.look_at_tables()
    assert conditions.not_ready is None


async def test_a_suspended_table_is_not_woken_on_a_full_disk() -> None:
    sql = FakeSql()
    made, _, _ = database(Room(0, 100 * GB), sql)
    sql.suspended = ["trades"]
    made.look_at_room()
    await made.look_at_tables()
    assert sql.told == []


async def test_a_database_that_is_away_is_not_called_suspended() -> None:
    sql = FakeSql()
    sql.away = True
    made, conditions, _ = database(Room(50 * GB, 100 * GB), sql)
    await made.look_at_tables()
    assert conditions.not_ready is None


def test_a_condition_is_said_once_when_it_begins_and_once_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "fleet_ingest.conditions")
    conditions = Conditions()
    for _ in range(3):
        conditions.put("room", "no room")
    conditions.put("room", None)
    conditions.put("room", None)
    assert [record.message for record in caplog.records] == ["no room", "room: well again"]


def test_a_fleet_with_a_virtual_clock_keeps_everything_for_ever() -> None:
    assert {table.keep_days for table in wanted_tables(expires=False)} == {0}
    assert [table.keep_days for table in wanted_tables(expires=True)] == [table.keep_days for table in ALL]
