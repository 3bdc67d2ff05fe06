"""The service over HTTP; `create_app` is its gate."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.metadata import version

from tagdesk.errors import MissingExtra

try:
    from fastapi import FastAPI, Request, Response
except ImportError as error:
    raise MissingExtra("The service", "serve") from error


from tagdesk.api.access import Doorkeeper, Meter, Permission
from tagdesk.api.body_limit import BodyLimit
from tagdesk.api.metrics import CONTENT_TYPE_LATEST, Metrics
from tagdesk.api.problems import Problem, install
from tagdesk.api.requests import Requests
from tagdesk.api.routes import SMOKE, needs, router
from tagdesk.desk import Desk
from tagdesk.errors import TagdeskError
from tagdesk.store import StoreUnavailable

__all__ = ["ApiSettings", "create_app"]

LOG = logging.getLogger("tagdesk.api")
SMALL, LARGE = 1_000_000, 8_000_000  # bytes: of a request, and of one that carries many tickets


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How the service answers.

    Attributes:
        within: seconds after which an answer is no longer worth giving.
        rate: requests a second that one key may send on the average; 0: no limit.
        burst: requests that it may send at once.
        body_seconds: within which a request's body must have come.
        follow_seconds: how often another process's promotions are looked for.
    """

    within: float = 2.0
    rate: float = 0.0
    burst: float = 100.0
    body_seconds: float = 20.0
    follow_seconds: float = 1.0


def create_app(desk: Desk, settings: ApiSettings | None = None) -> FastAPI:
    """The application that serves a desk; whoever made the desk closes it."""
    chosen = settings or ApiSettings()

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(_follow(desk, chosen.follow_seconds))
        yield
        following.cancel()

    app = FastAPI(
        title="tagdesk",
        version=version("tagdesk"),
        description="Gives customer-support tickets the categories that they deserve, with calibrated probabilities.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.desk = desk
    app.state.within = chosen.within
    app.state.doorkeeper = Doorkeeper(desk.store)
    app.state.meter = Meter(chosen.rate, chosen.burst)
    app.state.metrics = Metrics()
    install(app)
    app.include_router(router)
    _add_signs_of_life(app)
    app.add_middleware(
        BodyLimit,
        limit_of=lambda path: LARGE if path.endswith("/batch") else SMALL,
        seconds=chosen.body_seconds,
    )
    app.add_middleware(Requests, metrics=app.state.metrics)
    return app


def _add_signs_of_life(app: FastAPI) -> None:
    @app.get("/livez", dependencies=[needs(Permission.PUBLIC)])
    async def livez() -> dict[str, str]:
        """Whether the process runs."""
        return {"status": "alive"}

    @app.get("/readyz", dependencies=[needs(Permission.PUBLIC)])
    async def readyz(request: Request) -> dict[str, object]:
        """Whether it can label a ticket, and what answers."""
        desk: Desk = request.app.state.desk
        (answer,) = await asyncio.wrap_future(desk.ask([SMOKE], within=request.app.state.within))
        prediction = answer.prediction
        if not prediction.scores:
            raise Problem(503, "not_ready", "The model gives no scores.", {"Retry-After": "5"})
        return {"status": "ready", "model": prediction.model, "policy": prediction.policy}

    @app.get("/metrics", dependencies=[needs(Permission.ADMIN)])
    async def metrics(request: Request) -> Response:
        """Counts and times, for Prometheus."""
        return Response(request.app.state.metrics.render(request.app.state.desk), media_type=CONTENT_TYPE_LATEST)


async def _follow(desk: Desk, seconds: float) -> None:
    """Swap to what other processes promote, until the service ends."""
    while True:
        await asyncio.sleep(seconds)
        try:
            if await asyncio.to_thread(desk.follow):
                LOG.info("followed", extra={"model": desk.live.model.id})
        except StoreUnavailable:
            LOG.warning("store_unavailable")
        except TagdeskError as error:
            LOG.error("cannot_follow", extra={"code": error.code})  # noqa: TRY400 - the message is enough
