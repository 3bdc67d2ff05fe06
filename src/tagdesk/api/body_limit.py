"""Stops bodies that are too large, packed, or of another kind, before anything reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagdesk.api.problems import Problem, respond

JSON = "application/json"


class BodyLimit:
    """Lets a request through with a body of at most so many bytes, that arrives within so many seconds.

    Args:
        app: what answers.
        limit_of: the most bytes for a path.
        kinds_of: the media types that a path takes; none: any.
        seconds_of: within which the whole body must have come, for a path.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit_of: Callable[[str], int],
        kinds_of: Callable[[str], tuple[str, ...]] = lambda _path: (JSON,),
        seconds_of: Callable[[str], float] = lambda _path: 20.0,
    ) -> None:
        self.app = app
        self._limit_of = limit_of
        self._kinds_of = kinds_of
        self._seconds_of = seconds_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse its body."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self.app(scope, receive, send)
            return
        headers, limit = Headers(scope=scope), self._limit_of(scope["path"])
        problem = _head_problem(headers, limit, self._kinds_of(scope["path"]))
        if problem is not None:
            response = respond(problem, scope.get("state", {}).get("request_id"))
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
            return
        counted = _Counted(receive, limit, asyncio.get_running_loop().time() + self._seconds_of(scope["path"]))
        await self.app(scope, counted, counted.closing(send) if _has_body(headers) else send)


class _Counted:
    """The body as it comes, counted."""

    def __init__(self, receive: Receive, limit: int, deadline: float) -> None:
        self._receive = receive
        self._limit = limit
        self._deadline = deadline
        self._seen = 0
        self._is_whole = False

    def closing(self, send: Send) -> Send:
        """Ends the connection with an answer that comes before the whole body: nobody reads what is left of it."""

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and not self._is_whole:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        return closing

    async def __call__(self) -> Message:
        if self._is_whole:  # from here on only the end of the connection is awaited
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise Problem(408, "too_slow", "The body did not come in time.") from None
        self._seen += len(message.get("body", b""))
        if self._seen > self._limit:
            raise _too_large(self._limit)
        self._is_whole = not message.get("more_body", False)
        return message


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "") not in {"", "0"} or "transfer-encoding" in headers


def _head_problem(headers: Headers, limit: int, kinds: tuple[str, ...]) -> Problem | None:
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        return Problem(415, "packed", "Send the body as it is, without Content-Encoding.")
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > limit):
        return _too_large(limit)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kinds and _has_body(headers) and kind not in kinds:
        return Problem(415, "media_type", f"Content-Type must be {' or '.join(kinds)}.")
    return None


def _too_large(limit: int) -> Problem:
    return Problem(413, "too_large", f"The body may have {limit:,} bytes.", more={"limit": limit})
