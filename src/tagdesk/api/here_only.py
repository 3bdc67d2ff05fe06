"""A service without keys, which answers this machine alone."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tagdesk.address import is_here
from tagdesk.api.problems import Problem, respond


class HereOnly:
    """Refuses requests whose `Host` is another machine's: a web page can turn its own name to this one's address.

    Webhooks prove by their signature who sends them, whatever name they come by.
    """

    def __init__(self, app: ASGIApp, *, exempt: str) -> None:
        self.app = app
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer whoever names this machine."""
        if (
            scope["type"] == "http"
            and not scope["path"].startswith(self._exempt)
            and not _names_us(Headers(scope=scope))
        ):
            problem = Problem(403, "not_here", "Without keys only this machine is answered: tagdesk keys create NAME.")
            response = respond(problem, scope.get("state", {}).get("request_id"))
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _names_us(headers: Headers) -> bool:
    try:
        return is_here(urlsplit(f"//{headers.get('host', 'localhost')}").hostname or "")  # HTTP/1.0 needs no Host
    except ValueError:
        return False
