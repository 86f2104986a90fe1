"""Errors over HTTP: RFC 9457 `application/problem+json`, always the same six members."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A refusal to be answered as problem details. `code` is stable; `detail` is one sentence for a person."""

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.errors = status, code, detail, list(errors)
        self.headers: dict[str, str] = {}


def problem_body(status: int, code: str, detail: str, errors: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """The members of a problem."""
    return {
        "type": f"urn:fleet:problem:{code.lower().replace('_', '-')}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": list(errors),
    }


def problem_response(problem: Problem) -> JSONResponse:
    """A problem as an answer."""
    body = problem_body(problem.status, problem.code, problem.detail, problem.errors)
    return JSONResponse(body, problem.status, problem.headers, MEDIA_TYPE)


def answer_problems(app: FastAPI) -> None:
    """Every error of the app becomes a problem, FastAPI's own ones too."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> JSONResponse:
        return problem_response(error)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        problem = Problem(error.status_code, HTTPStatus(error.status_code).name, str(error.detail))
        problem.headers.update(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            problem.headers["allow"] = ", ".join(_allowed(app, request.url.path))
        return problem_response(problem)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        fields = [{"field": ".".join(str(part) for part in one["loc"][1:]), "detail": one["msg"]} for one in error.errors()]
        not_json = any(one["type"] == "json_invalid" for one in error.errors())
        status, code = (400, "NOT_JSON") if not_json else (422, "INVALID_REQUEST")
        return problem_response(Problem(status, code, "the request does not fit the API", fields))

    @app.exception_handler(Exception)
    async def _bug(_: Request, error: Exception) -> JSONResponse:
        return problem_response(Problem(500, "INTERNAL_ERROR", "a fault of this service; its log says more"))


def _allowed(app: FastAPI, path: str) -> list[str]:
    """Every method the document has for a path. (The router itself names those of the first route only.)"""
    documented = app.openapi()["paths"].items()
    return sorted({name.upper() for template, names in documented if compile_path(template)[0].match(path) for name in names})
