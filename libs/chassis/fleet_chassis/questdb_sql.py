"""SQL over QuestDB's HTTP door: for migrations and checks. Services that read rows use the PG wire (asyncpg)."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

TIMEOUT_S = 5.0
_OUTAGES = (httpx.HTTPError, httpx.InvalidURL, ValueError)


class SqlUnavailable(Exception):
    """No answer in time, or none that makes sense: the server is away. Retry later."""


class SqlRefused(Exception):
    """The server understood and refused: a wrong statement, a wrong password."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of a query, values as JSON has them (decimals and timestamps are text); DDL has none."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def first(self) -> Any:
        """The first value of the first row. Raises IndexError when there is none."""
        return self.rows[0][0]


class QuestDbSql:
    """One HTTP user's connection; use it as `async with`. Every request is bounded by `timeout_s`."""

    def __init__(self, url: str, user: str, password: str, *, timeout_s: float = TIMEOUT_S) -> None:
        # No TLS here (QuestDB has none in this edition); `verify` would only load certificates at every start.
        self._client = httpx.AsyncClient(base_url=url, auth=(user, password), timeout=timeout_s, trust_env=False, verify=False)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def ask(self, statement: str) -> Answer:
        """Run one statement. Raises `SqlUnavailable`, `SqlRefused`."""
        try:
            reply = await self._client.get("/exec", params={"query": statement})
            if reply.status_code == httpx.codes.UNAUTHORIZED:
                raise SqlRefused("wrong password for QuestDB's HTTP door")
            said = reply.json()
        except _OUTAGES as error:
            raise SqlUnavailable(f"QuestDB does not answer ({type(error).__name__})") from error
        if reply.is_server_error or not isinstance(said, dict):
            raise SqlUnavailable(f"QuestDB answers {reply.status_code}")
        if "error" in said:
            raise SqlRefused(f"{said['error']} (in: {' '.join(statement.split())[:200]})")
        columns = tuple(column["name"] for column in said.get("columns", ()))
        return Answer(columns, tuple(tuple(row) for row in said.get("dataset", ())))

    async def ping(self) -> None:
        """Raise `SqlUnavailable` unless the server is up."""
        try:
            reply = await self._client.get("/ping")
        except _OUTAGES as error:
            raise SqlUnavailable(f"QuestDB does not answer ({type(error).__name__})") from error
        if not reply.is_success:
            raise SqlUnavailable(f"QuestDB answers {reply.status_code} to a ping")
