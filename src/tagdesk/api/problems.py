"""Every error as `application/problem+json`, which never repeats what the client sent (RFC 9457)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import compile_path

from tagdesk.errors import TagdeskError

MEDIA_TYPE = "application/problem+json"
GONE = 499  # nobody is there to read it; the log and the counts say so
MOST_FAULTS = 20  # of a request's fields that are named
STATUS_OF_CODE = {
    "overloaded": 503,
    "deadline": 503,
    "store_unavailable": 503,
    "store_busy": 503,
    "model_unhealthy": 503,
    "conflict": 409,
    "disk_full": 507,
    "jobs_unwritable": 503,
    "no_model": 404,
    "not_found": 404,
}
TITLES = {
    400: "The request cannot be read",
    401: "No valid key",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "In conflict with what is there",
    410: "Gone",
    411: "Length required",
    413: "Too large",
    415: "Unsupported media type",
    422: "The request makes no sense",
    429: "Too many requests",
    431: "Headers too large",
    500: "Internal error",
    503: "Not at the moment",
    507: "No room",
}


class Problem(HTTPException):
    """An answer that is none: its status, a stable code word for programs, and a sentence for people.

    `detail` and `more` hold nothing that the client sent.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code
        self.more = dict(more or {})


def document(status: int, code: str, detail: str, request_id: str | None, more: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a problem.

    >>> document(413, "too_large", "At most 1 MB.", "r1", {"limit": 1000000})["title"]
    'Too large'
    """
    title = TITLES.get(status, "Error")
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    return {**body, "request_id": request_id, **more}


def respond(problem: Problem, request_id: str | None) -> JSONResponse:
    """The problem as an answer."""
    body = document(problem.status_code, problem.code, problem.detail, request_id, problem.more)
    return JSONResponse(body, problem.status_code, dict(problem.headers or {}), media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """What a client may know of an error."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return _invalid(error.errors())
        case HTTPException():
            code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
            title = TITLES.get(error.status_code, "Error")
            return Problem(error.status_code, code, f"{title}.", dict(error.headers or {}))
        case TagdeskError(code="no_model"):  # its message says where it looked, and for what
            return Problem(404, error.code, "There is no such model. GET /v1/models lists those that are there.")
        case TagdeskError():
            status = STATUS_OF_CODE.get(error.code, 422)
            wait = getattr(error, "retry_after", 1.0 if status == 503 else None)
            headers = {} if wait is None else {"Retry-After": str(math.ceil(wait))}
            return Problem(status, error.code, str(error), headers)
        case _:
            return Problem(500, "internal", "Something failed here; the log knows more under this request id.")


def install(app: FastAPI) -> None:
    """Let the application answer all errors so."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        problem = problem_of(error)
        if problem.status_code == 405 and (methods := _methods(app, request.url.path)):
            # FastAPI names the methods of the first route of that path alone.
            problem.headers = {**(problem.headers or {}), "Allow": ", ".join(methods)}
        return respond(problem, getattr(request.state, "request_id", None))

    for kind in (Problem, RequestValidationError, HTTPException, TagdeskError, Exception):
        app.add_exception_handler(kind, handle)


def _methods(app: FastAPI, path: str) -> list[str]:
    """The methods that a path can be asked with."""
    paths = app.openapi()["paths"]
    return sorted({one.upper() for known in paths if compile_path(known)[0].match(path) for one in paths[known]})


def _invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Where the request is wrong, and what was expected; not what stood there."""
    if any(error["loc"][0] == "path" for error in errors):  # what cannot be a name names nothing
        return Problem(404, "not_found", f"{TITLES[404]}.")
    faults = [{"at": _place(error), "expected": _expected(error)} for error in errors[:MOST_FAULTS]]
    return Problem(422, "invalid_request", "Fields are missing, unknown or of another kind.", more={"faults": faults})


def _place(error: Mapping[str, Any]) -> list[int | str]:
    """Where in the request; what the client made up itself, such as the name of a field, is `?`."""
    place = [part if isinstance(part, int) else str(part) for part in error["loc"]]
    return [*place[:-1], "?"] if error.get("type") == "extra_forbidden" else place


def _expected(error: Mapping[str, Any]) -> str:
    """The kind of fault as pydantic names it; its messages may hold input."""
    return str(error.get("type", "value_error"))
