"""The route that help desks send their webhooks to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Path, Request

from tagdesk.api import shapes
from tagdesk.api.access import Permission
from tagdesk.api.problems import Problem
from tagdesk.api.routes import TheDesk, needs
from tagdesk.connectors import Forged, HelpDeskError, Incoming
from tagdesk.desk import Desk
from tagdesk.desk.hooks import Hook, Hooks
from tagdesk.store import Conflict

PATH = "/v1/webhooks"
LONGEST_CORRECTION = 5.0  # seconds; help desks do not wait much longer for an answer
AGAIN = {"Retry-After": "10"}  # seconds; Zendesk comes back only where that is less than a minute


@contextlib.asynccontextmanager
async def _working(app: FastAPI) -> AsyncIterator[None]:
    """Write back as long as the service runs."""
    app.state.hooks.start()
    yield
    await asyncio.to_thread(app.state.hooks.close)


async def _hook(
    name: Annotated[str, Path(pattern=r"^[a-z0-9-]{1,60}$", description="The table in the file of help desks.")],
    request: Request,
) -> Hook:
    hooks: Hooks = request.app.state.hooks
    hook = hooks.by_name.get(name)
    if hook is None:
        raise Problem(404, "unknown_help_desk", "There is no help desk of that name. Look at the file of help desks.")
    return hook


router = APIRouter(prefix=PATH, lifespan=_working)


@router.post(
    "/{name}",
    dependencies=[needs(Permission.PUBLIC)],  # the signature is the proof
    responses={
        401: {"description": "It is not signed by the help desk, or too long ago."},
        404: {"description": "There is no such help desk."},
        409: {"description": "The same delivery is being taken in."},
        503: {"description": "Not at the moment; send it again."},
    },
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": {"type": "object"}, "example": {}}}}},
)
async def webhook(request: Request, desk: TheDesk, hook: Annotated[Hook, Depends(_hook)]) -> shapes.WebhookOut:
    """Take in what a help desk sends: a message is labelled and written back, an agent's correction is kept."""
    outcome = "refused"
    try:
        outcome, reason = await _taken(request, desk, hook)
    except Forged as error:
        outcome = "forged"
        raise Problem(401, error.code, str(error), {"WWW-Authenticate": "Signature"}) from None
    except (Conflict, HelpDeskError, TimeoutError) as error:
        outcome = "later"
        raise _later(error) from error
    finally:
        request.app.state.metrics.webhooks.labels(hook.site.name, outcome).inc()
    return shapes.WebhookOut(outcome=outcome, reason=reason, request_id=request.state.request_id)


async def _taken(request: Request, desk: Desk, hook: Hook) -> tuple[str, str]:
    """What became of a delivery, and why."""
    delivery = hook.verify(request.headers.raw, await request.body())
    event = await asyncio.to_thread(hook.read, delivery)
    if event.kind == "ignored":
        return "ignored", event.reason
    if not await asyncio.to_thread(hook.claim, event):
        return "repeated", ""
    try:
        return await _done(event, request, desk, hook)
    except BaseException:
        await asyncio.to_thread(hook.release, event)
        raise


async def _done(event: Incoming, request: Request, desk: Desk, hook: Hook) -> tuple[str, str]:
    if event.kind == "correction":
        asked = asyncio.wrap_future(hook.correct(event))
        found = await asyncio.wait_for(asked, LONGEST_CORRECTION)
        return ("reviewed", "") if found == "reviewed" else ("ignored", found)
    (answer,) = await asyncio.wrap_future(desk.ask([event.text], [hook.where(event)], within=request.app.state.within))
    await asyncio.to_thread(hook.log, event, answer)
    request.app.state.metrics.count([answer.prediction])
    return "labelled", ""


def _later(error: Exception) -> Problem:
    if isinstance(error, Conflict):
        return Problem(409, "in_progress", "The same delivery is being taken in. Send it again.", AGAIN)
    return Problem(503, "help_desk_away", "The help desk does not tell the ticket's tags. Send it again.", AGAIN)
