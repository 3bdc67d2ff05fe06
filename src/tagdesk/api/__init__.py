"""The service over HTTP; `create_app` is its gate."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from importlib.metadata import version

from tagdesk.errors import MissingExtra

try:
    from fastapi import FastAPI, Request, Response
    from fastapi.responses import PlainTextResponse
    from fastapi.routing import APIRoute
except ImportError as error:
    raise MissingExtra("The service", "serve") from error


from tagdesk.api import experiments, explain, jobs, shapes, webhooks
from tagdesk.api.access import Doorkeeper, Meter, Permission
from tagdesk.api.body_limit import JSON, BodyLimit
from tagdesk.api.direct import Direct
from tagdesk.api.here_only import HereOnly
from tagdesk.api.metrics import CONTENT_TYPE_LATEST, Metrics
from tagdesk.api.openapi import describe
from tagdesk.api.problems import install
from tagdesk.api.readiness import Readiness
from tagdesk.api.requests import Requests
from tagdesk.api.routes import DIRECT, needs, router
from tagdesk.connectors.sites import Site
from tagdesk.desk import Desk
from tagdesk.desk.deciding import settle
from tagdesk.desk.hooks import Hooks
from tagdesk.desk.jobs import JobSettings, Workshop
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
        decide_seconds: how often an experiment that may end by itself is looked at.
        jobs: how bulk jobs are kept.
        help_desks: those that send webhooks.
        here_only: whether a service without keys answers only who calls it by a name of this machine.
    """

    within: float = 2.0
    rate: float = 0.0
    burst: float = 100.0
    body_seconds: float = 20.0
    follow_seconds: float = 1.0
    decide_seconds: float = 600.0
    jobs: JobSettings = field(default_factory=JobSettings)
    help_desks: tuple[Site, ...] = ()
    here_only: bool = False


def create_app(desk: Desk, settings: ApiSettings | None = None) -> FastAPI:
    """The application that serves a desk; whoever made the desk closes it."""
    chosen = settings or ApiSettings()

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(_follow(desk, chosen.follow_seconds)),
            asyncio.create_task(_settle(desk, chosen.decide_seconds)),
        ]
        yield
        for task in tasks:
            task.cancel()

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
    app.state.hooks = Hooks(desk, chosen.help_desks, app.state.metrics.count_write_back)
    app.state.readiness = Readiness(desk, chosen.within)
    app.state.workshop = Workshop(desk.store, desk.settings.models, chosen.jobs)
    install(app)
    app.include_router(router)
    app.include_router(jobs.router)
    app.include_router(experiments.router)
    app.include_router(explain.router)
    app.include_router(webhooks.router)
    _add_signs_of_life(app)
    describe(app)
    app.add_middleware(
        Direct, routes=[one for one in router.routes if isinstance(one, APIRoute) and one.endpoint in DIRECT]
    )
    app.add_middleware(
        BodyLimit,
        limit_of=lambda path: (
            chosen.jobs.most_bytes if path == jobs.PATH else LARGE if path.endswith("/batch") else SMALL
        ),
        kinds_of=lambda path: tuple(jobs.KINDS) if path == jobs.PATH else (JSON,),
        seconds_of=lambda path: jobs.UPLOAD_SECONDS if path == jobs.PATH else chosen.body_seconds,
    )
    if chosen.here_only and app.state.doorkeeper.is_open:
        app.add_middleware(HereOnly, exempt=webhooks.PATH)
    app.add_middleware(Requests, metrics=app.state.metrics)
    return app


def _add_signs_of_life(app: FastAPI) -> None:
    @app.get("/livez", dependencies=[needs(Permission.PUBLIC)])
    async def livez() -> shapes.AliveOut:
        """Whether the process runs."""
        return shapes.AliveOut(status="alive")

    @app.get("/readyz", dependencies=[needs(Permission.PUBLIC)], responses={503: {"description": "Not ready"}})
    async def readyz(request: Request) -> shapes.ReadyOut:
        """Whether it can label a ticket, and what answers; found out once a second at most."""
        prediction = await request.app.state.readiness.check()
        return shapes.ReadyOut(status="ready", model=prediction.model, policy=prediction.policy)

    @app.get("/metrics", dependencies=[needs(Permission.ADMIN)], response_class=PlainTextResponse)
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


async def _settle(desk: Desk, seconds: float) -> None:
    """End experiments that may end by themselves, until the service ends."""
    while True:
        await asyncio.sleep(seconds)
        try:
            if (decision := await asyncio.to_thread(settle, desk)) is not None:
                LOG.info("decided", extra={"action": decision.action.value})
        except StoreUnavailable:
            LOG.warning("store_unavailable")
        except TagdeskError as error:
            LOG.error("cannot_decide", extra={"code": error.code})  # noqa: TRY400 - the message is enough
