"""The state of the database: its tables made and grown at start, its room and its suspended tables watched."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from fleet_chassis.questdb_migrations import Migration, MigrationError, Wanted, migrate
from fleet_chassis.questdb_server import SettingIgnored, check_essentials
from fleet_chassis.questdb_sql import QuestDbSql, SqlRefused, SqlUnavailable
from fleet_ingest.conditions import Conditions
from fleet_ingest.core.tables import ALL
from fleet_ingest.metrics import Counts
from fleet_ingest.settings import RETRY_S_FIRST, RETRY_S_MAX, WATCH_S

SCHEMA, ROOM, SUSPENDED = "schema", "room", "suspended"
RESUME_S = 30.0
"""Between two attempts to wake a suspended table."""
FreeBytes = Callable[[], tuple[int, int]]
"""(free, total) bytes of the database's disk. Raises OSError when it cannot be seen from here."""
_log = logging.getLogger(__name__)


def free_bytes_of(folder: Path) -> FreeBytes:
    """The disk under a folder; free means free for everybody, not for root alone."""

    def look() -> tuple[int, int]:
        disk = os.statvfs(folder)
        return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize

    return look


def wanted_tables(expires: bool) -> list[Wanted]:
    """The tables as the code needs them. Without `expires` nothing is ever dropped."""
    return [Wanted(table.name, table.types, frozenset(table.keys), table.keep_days if expires else 0) for table in ALL]


class Database:
    """`make_ready()` first; `watch()` beside everything else. `open` is False while nothing may be written."""

    def __init__(
        self,
        sql: QuestDbSql,
        migrations: Sequence[Migration],
        *,
        expires: bool,
        commit: str,
        free_bytes: FreeBytes,
        free_bytes_min: int,
        conditions: Conditions,
        counts: Counts,
    ) -> None:
        self._sql, self._migrations = sql, migrations
        self._wanted, self._commit = wanted_tables(expires), commit
        self._free_bytes, self._free_bytes_min = free_bytes, free_bytes_min
        self._conditions, self._counts = conditions, counts
        self._resumed_at = float("-inf")

    @property
    def open(self) -> bool:
        """There is room."""
        return ROOM not in self._conditions

    async def make_ready(self) -> None:
        """Tables, columns and retention as the code needs them; waits for QuestDB until cancelled."""
        wait_s = RETRY_S_FIRST
        while True:
            try:
                await check_essentials(self._sql, self._commit)
                applied = await migrate(self._sql, self._migrations, self._wanted)
                break
            except SqlUnavailable as error:
                self._conditions.begin(SCHEMA, f"{error}; waiting for it")
            except (MigrationError, SettingIgnored, SqlRefused) as error:
                self._conditions.begin(SCHEMA, f"the database is not as it must be: {error}")
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_S_MAX)
        self._conditions.end(SCHEMA)
        if applied:
            _log.info("migrations applied: %s", ", ".join(applied))

    async def watch(self) -> None:
        """Look at room and tables for ever."""
        while True:
            self.look_at_room()
            await self.look_at_tables()
            await asyncio.sleep(WATCH_S)

    def look_at_room(self) -> bool:
        """Whether there is room. QuestDB crashes on a full disk: stop well before. Small disks count in tenths."""
        try:
            free, total = self._free_bytes()
        except OSError:
            return self.open  # the database's disk is not ours to see (another machine, another container)
        self._counts.free_bytes = free
        least = min(self._free_bytes_min, total // 10)
        what = (
            f"only {free // 10**6} MB left on the database's disk (least {least // 10**6} MB): nothing is written until "
            "there is room, the backlog waits"
        )
        self._conditions.put(ROOM, what if free < least else None)
        return self.open

    async def look_at_tables(self) -> None:
        """A suspended table takes rows and shows none; QuestDB does not call that unhealthy. Try to wake it now and then."""
        try:
            names = [str(row[0]) for row in (await self._sql.ask("select name from wal_tables() where suspended")).rows]
        except (SqlUnavailable, SqlRefused):
            return  # the pump says so when it matters
        what = f"QuestDB has suspended {', '.join(names)}: rows are kept and cannot be seen yet" if names else None
        self._conditions.put(SUSPENDED, what)
        now = asyncio.get_running_loop().time()
        if names and self.open and now - self._resumed_at > RESUME_S:
            self._resumed_at = now
            await self._resume(names)

    async def _resume(self, names: Sequence[str]) -> None:
        for name in names:
            try:
                await self._sql.ask(f'alter table "{name}" resume wal')
            except (SqlUnavailable, SqlRefused) as error:
                _log.warning("cannot resume %s: %s", name, error)
