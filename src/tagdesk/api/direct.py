"""The busiest routes, answered to the same effect past the framework's machinery, which takes longer than our part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from tagdesk.api.access import Permission, admitted
from tagdesk.api.body_limit import JSON
from tagdesk.api.problems import problem_of, respond
from tagdesk.api.shapes import IdempotencyKey
from tagdesk.api.strict_json import StrictRequest
from tagdesk.errors import TagdeskError

_KEY = TypeAdapter(IdempotencyKey)
_MISSING = {"type": "missing", "loc": ("body",)}


class Direct:
    """Calls routes that ask for `predict` and take a body and an Idempotency-Key, as FastAPI would.

    Args:
        app: what answers all other routes.
        routes: that are called; their endpoints take `(body, request, desk, caller, idempotency_key)` and give a shape.
    """

    def __init__(self, app: ASGIApp, *, routes: Sequence[APIRoute]) -> None:
        self.app = app
        self._routes = {route.path: (route, _body_of(route)) for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or hand it on."""
        found = self._routes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        route, shape = found
        scope["route"] = route
        try:
            answer = await _call(route, shape, StrictRequest(scope, receive))
            response = Response(answer.model_dump_json(), media_type=JSON)
        except (HTTPException, RequestValidationError, TagdeskError) as error:
            response = respond(problem_of(error), scope["state"]["request_id"])
        await response(scope, receive, send)


async def _call(route: APIRoute, shape: type[BaseModel], request: Request) -> BaseModel:
    # In the framework's order: a body that is no JSON, a caller that may not, then what is wrong with the fields.
    is_empty = not await request.body()
    value = None if is_empty else await request.json()
    caller = await admitted(request, Permission.PREDICT)
    faults: list[Mapping[str, Any]] = []
    key = body = None
    try:
        key = _KEY.validate_python(request.headers.get("idempotency-key"))
    except ValidationError as error:
        faults += [{**one, "loc": ("header", "idempotency-key", *one["loc"])} for one in error.errors()]
    try:
        body = None if is_empty else shape.model_validate(value, from_attributes=True)
    except ValidationError as error:
        faults += [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
    if is_empty:
        faults.append(_MISSING)
    if faults:
        raise RequestValidationError(faults)
    answer: BaseModel = await route.endpoint(body, request, request.app.state.desk, caller, key)
    return answer


def _body_of(route: APIRoute) -> type[BaseModel]:
    (field,) = route.dependant.body_params
    shape = field.field_info.annotation
    if not (isinstance(shape, type) and issubclass(shape, BaseModel)):
        raise TypeError(f"{route.path}: its body is no shape.")
    return shape
