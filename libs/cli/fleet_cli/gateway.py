"""The operator API of the risk-gateway as the commands use it: JSON in, JSON out, every failure one line and a code."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from fleet_cli.exits import CliError, Exit
from fleet_cli.where import URL, Door, door, how_to_start
from fleet_contracts.ids import derived_id

TIMEOUT_S = 10.0
_CODES = {
    400: Exit.USAGE,
    401: Exit.FORBIDDEN,
    403: Exit.FORBIDDEN,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
    422: Exit.USAGE,
    428: Exit.CONFLICT,
    503: Exit.UNHEALTHY,
    504: Exit.TIMEOUT,
}

Json = dict[str, Any]


class Gateway:
    """One conversation with the gateway of the fleet that is meant, in a role. Use as a context manager."""

    def __init__(self, role: str, *, timeout_s: float = TIMEOUT_S, transport: httpx.BaseTransport | None = None) -> None:
        self.door: Door = door(role)
        self._role = role
        headers = {"Authorization": f"Bearer {self.door.token}"} if self.door.token else {}
        self._client = httpx.Client(headers=headers, timeout=timeout_s, transport=transport, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def get(self, path: str, **parameters: str | int | None) -> Json:
        """One object. Raises `CliError`."""
        return self._ask("GET", path, parameters)[0]

    def get_with_tag(self, path: str, **parameters: str | int | None) -> tuple[Json, str | None]:
        """One object and its ETag. Raises `CliError`."""
        answer, headers = self._ask("GET", path, parameters)
        return answer, headers.get("etag")

    def pages(self, path: str, limit: int, **parameters: str | int | None) -> Iterator[Json]:
        """The items of a list, page after page, at most `limit`. Raises `CliError`."""
        after: str | None = None
        while limit > 0:
            page = self.get(path, **{**parameters, "limit": min(limit, 500)}, **({"after": after} if after else {}))
            items: list[Json] = page["items"]
            yield from items[:limit]
            limit, after = limit - len(items), page.get("next")
            if not items or after is None:
                return

    def post(self, path: str, body: Json, *, match: str | None = None, account: str | None = None) -> Json:
        """Change something, once: the key is derived from the content and the moment of asking. Raises `CliError`."""
        key = derived_id("fleet", "cli", f"{time.time_ns()}", path, str(sorted(body.items())))
        headers = {"Idempotency-Key": key} | ({"If-Match": match} if match else {})
        return self._ask("POST", path, {"account": account}, body, headers)[0]

    def _ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str | int | None],
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Json, httpx.Headers]:
        given = {name: value for name, value in parameters.items() if value is not None}

        def ask(url: str) -> httpx.Response:
            return self._client.request(method, f"{url}/api/v1{path}", params=given, json=body, headers=headers)

        try:
            answer = self._ask_one_of_two(ask, looks=method == "GET")
        except httpx.TimeoutException as error:
            raise CliError(f"the gateway at {self.door.url} gave no answer in time", Exit.TIMEOUT) from error
        except httpx.TransportError as error:
            raise CliError(
                f"the gateway at {self.door.url} cannot be reached; is the fleet up? See `supervisor status`, {how_to_start()}",
                Exit.UNHEALTHY,
            ) from error
        if answer.is_success:
            return _object(answer), answer.headers
        raise self._refusal(answer)

    def _ask_one_of_two(self, ask: Callable[[str], httpx.Response], *, looks: bool) -> httpx.Response:
        """The first gateway's answer; that of the second, if there is one, when the first was not reached or does not lead.

        `looks`: it changes nothing, so that the second is asked also when the first is silent.
        """
        second = self.door.second
        try:
            answer = ask(self.door.url)
        except httpx.TransportError as error:
            if second is None or not (looks or isinstance(error, httpx.ConnectError)):
                raise
            return ask(second)
        return ask(second) if second is not None and _does_not_lead(answer) else answer

    def _refusal(self, answer: httpx.Response) -> CliError:
        code = _CODES.get(answer.status_code, Exit.FAILURE)
        if code is Exit.FORBIDDEN and not self.door.token:
            where = "SUPERVISOR_TOKEN is not set" if URL in os.environ else f"there is no {self._role} token"
            return CliError(f"the gateway asks for a token and {where}", code)
        return CliError(_problem(answer), code)


def _does_not_lead(answer: httpx.Response) -> bool:
    """It has changed nothing, for another instance leads."""
    return answer.status_code == 503 and '"NO_LEADER"' in answer.text


def _object(answer: httpx.Response) -> Json:
    try:
        found = answer.json()
    except ValueError as error:
        raise CliError(f"{answer.url} answered something that is not JSON; is it a risk-gateway?") from error
    return found if isinstance(found, dict) else {"items": found}


def _problem(answer: httpx.Response) -> str:
    """RFC 9457 in one line."""
    try:
        raw = answer.json()
    except ValueError:
        return f"the gateway answered {answer.status_code}"
    problem: Json = raw if isinstance(raw, dict) else {}
    text = problem.get("detail") or problem.get("title") or f"the gateway answered {answer.status_code}"
    fields = [
        f"{error.get('field') or error.get('loc') or '?'}: {error.get('detail') or error.get('message')}"
        for error in problem.get("errors") or []
        if isinstance(error, dict) and text not in (error.get("detail"), error.get("message"))
    ]
    code = f" ({problem['code']})" if problem.get("code") else ""
    return "; ".join([f"{text}{code}", *fields])
