"""What happens around every request: an id, a log line without text, counts, and no other answer than a problem.

A route puts into `request.state.afterwards` what can wait until its answer has left.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagdesk.api.metrics import Metrics
from tagdesk.api.problems import problem_of, respond

LOG = logging.getLogger("tagdesk.api")
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
UNKNOWN = "unknown"  # the route of a path that leads nowhere


class Requests:
    """Gives each request an id (`X-Request-ID`, the client's where it is sane), logs and counts it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _id_of(Request(scope))
        afterwards: list[Callable[[], None]] = []
        scope.setdefault("state", {}).update(request_id=request_id, afterwards=afterwards)
        started, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            LOG.exception("failed", extra={"request_id": request_id})
            if status:
                raise
            await respond(problem_of(error), request_id)(scope, receive, noted)
        finally:
            for do in afterwards:
                do()
        seconds = time.perf_counter() - started
        route = getattr(scope.get("route"), "path", UNKNOWN)
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        LOG.info(
            "answered",
            extra={"request_id": request_id, "route": route, "status": status, "ms": round(seconds * 1000, 1)},
        )


def _id_of(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
