"""A real QuestDB for tests: on free ports, in a folder of its own, with little memory; the jar comes from the cache."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from fleet_chassis.questdb_jar import fetch_jar
from fleet_chassis.questdb_server import JOURNAL, QuestDbProbe, QuestDbServer, make_passwords, read_password
from fleet_chassis.questdb_sql import QuestDbSql
from parts.nats import free_port

CACHE = Path(__file__).parents[2] / ".cache"
START_S = 60.0


class QuestDb:
    """One server process, which can be killed, frozen and started again on its data."""

    def __init__(self, folder: Path, commit: str = "nosync") -> None:
        self.passwords = folder / "passwords"
        make_passwords(self.passwords)
        self.settings = QuestDbServer(
            host="127.0.0.1",
            http_port=free_port(),
            pg_port=free_port(),
            health_port=free_port(),
            data=folder / "data",
            passwords=self.passwords,
            logs=folder / "logs",
            heap="256m",
            commit=commit,
        )
        self.url = f"http://127.0.0.1:{self.settings.http_port}"
        self._jar = fetch_jar(CACHE)
        self._output = folder / "questdb.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.settings.prepare()
        environment = {**os.environ, **self.settings.environment()}
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(self.settings.command(self._jar), env=environment, stdout=output, stderr=output)

    async def ready(self) -> None:
        """Wait until it answers SQL."""
        probe = QuestDbProbe(self.url, self.passwords)
        missing: str | None = "not asked yet"
        try:
            async with asyncio.timeout(START_S):
                while missing is not None:
                    assert self.process is not None
                    assert self.process.poll() is None, self._output.read_text()[-2000:]
                    missing = await probe()
                    if missing is not None:
                        await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"QuestDB is not ready: {missing}") from None

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def freeze(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def password(self, user: str) -> str:
        return read_password(self.passwords, user)

    @asynccontextmanager
    async def sql(self) -> AsyncIterator[QuestDbSql]:
        async with QuestDbSql(self.url, JOURNAL, self.password(JOURNAL), timeout_s=10) as sql:
            yield sql


@contextmanager
def questdb(folder: Path, commit: str = "nosync") -> Iterator[QuestDb]:
    """A server that answers; killed at the end. For fixtures that outlive an event loop, too."""
    server = QuestDb(folder, commit)
    server.start()
    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, server.ready()).result()
        yield server
    finally:
        server.kill()


async def applied(sql: QuestDbSql, within_s: float = 20.0) -> None:
    """Wait until every committed row can be seen."""
    behind: object = "not asked yet"
    async with asyncio.timeout(within_s):
        while behind:
            answer = await sql.ask("select name, suspended, writerTxn, sequencerTxn from wal_tables()")
            behind = [name for name, suspended, seen, committed in answer.rows if suspended or seen != committed]
            if behind:
                await asyncio.sleep(0.05)
