"""The description of the interface: besides the shapes, an example of each and every problem that can be answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.security import HTTPBearer

from tagdesk.api.problems import MEDIA_TYPE, TITLES, document

KEY = HTTPBearer(scheme_name="key", description="What `tagdesk keys create` printed.", auto_error=False)

METHODS = ("get", "put", "post", "delete", "patch")
WITH_KEY = (401, 403, 429, 503)  # what any route that asks for a key can answer
WITH_BODY = (400, 408, 413, 415, 422)
WITH_PARAMETERS = (422,)
RETRY = {"Retry-After": {"description": "In so many seconds.", "schema": {"type": "integer", "minimum": 0}}}
SCHEMA = {
    "type": "object",
    "title": "Problem",
    "description": "An answer that is none (RFC 9457). It holds nothing that the client sent.",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "A stable word for programs."},
        "detail": {"type": "string", "description": "A sentence for people."},
        "request_id": {"type": ["string", "null"]},
    },
}


def describe(app: FastAPI) -> None:
    """Let the application's description name the problems and show examples."""
    describe_shapes = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(describe_shapes())
        return describe_shapes()

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way to change the description


def _complete(description: dict[str, Any]) -> None:
    """Add to a description what FastAPI does not know of."""
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):  # ours are problems
        schemas.pop(unused, None)
    schemas["Problem"] = SCHEMA
    for operation in _operations(description):
        for status in _statuses(operation):
            operation["responses"][str(status)] = _problem(status, operation["responses"].get(str(status), {}))
        for content in (operation.get("requestBody", {}), *_successes(operation)):
            for kind in content.get("content", {}).values():
                _show(kind, schemas)


def _operations(description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in description["paths"].values():
        yield from (methods[method] for method in METHODS if method in methods)


def _statuses(operation: dict[str, Any]) -> list[int]:
    """The problems that an operation can answer: those that its route names, and those of its kind."""
    found = {int(status) for status in operation["responses"] if int(status) >= 400}
    found |= set(WITH_KEY if operation.get("security") else ())
    found |= set(WITH_BODY if "requestBody" in operation else ())
    found |= set(WITH_PARAMETERS if "parameters" in operation else ())
    return sorted(found)


def _problem(status: int, named: dict[str, Any]) -> dict[str, Any]:
    title = TITLES[status]
    detail = named.get("description", title)
    detail = title if detail == "Validation Error" else detail  # FastAPI's word
    example = document(status, EXAMPLE_CODES.get(status, "conflict"), detail, "4f9d", {})
    shown = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    found = {"description": detail, "content": shown}
    return {**found, "headers": RETRY} if status in {429, 503} else found


def _successes(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [response for status, response in operation["responses"].items() if int(status) < 300]


def _show(kind: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Give a body the example of its shape, where it has none of its own."""
    shape = schemas.get(kind.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
    if "examples" in shape and "example" not in kind:
        kind["example"] = shape["examples"][0]


EXAMPLE_CODES = {
    400: "bad_json",
    401: "no_key",
    403: "not_allowed",
    404: "not_found",
    408: "too_slow",
    410: "gone",
    413: "too_large",
    415: "media_type",
    422: "invalid_request",
    429: "rate_limit",
    503: "overloaded",
    507: "disk_full",
}
