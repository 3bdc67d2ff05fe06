"""Sends calls to a help desk and gives the answers; the one module here that needs httpx2 and tenacity.

The key goes to the named address alone: no redirect is followed, and no message repeats the key or what was answered.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from types import TracebackType
from typing import Any, Final, Self

import httpx2
import tenacity

from tagdesk.connectors.access import Access, Call, HelpDeskError, Overtaken
from tagdesk.connectors.help_desk import Patience

_LONGEST_ANSWER: Final = 8 * 2**20  # bytes
_TOO_MANY: Final = 429
_CONFLICT: Final = 409


class Line:
    """An open connection to a help desk.

    Args:
        access: where.
        headers: those that let tagdesk in.
        patience: how long.
    """

    def __init__(self, access: Access, headers: Mapping[str, str], patience: Patience) -> None:
        self._access = access
        self._patience = patience
        self._client = httpx2.Client(
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "tagdesk", **headers},
            timeout=patience.timeout,
            verify=_trusted(),
            follow_redirects=False,
            trust_env=not access.is_here,  # a proxy is for other machines
        )

    def __enter__(self) -> Self:
        self._client.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.__exit__(kind, error, trace)

    def answer(self, call: Call) -> Any:
        """What the help desk answers, as JSON; raises HelpDeskError where it does not."""
        patience = self._patience
        trying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(patience.tries),
            retry=tenacity.retry_if_exception_type(_Passing),
            wait=self._pause,
            sleep=patience.wait,
            reraise=True,
        )
        try:
            return trying(self._once, call)
        except _Passing as passing:
            raise HelpDeskError(
                f"{self._access.host} {passing} {patience.tries} times in a row. Try again later.",
                code="help_desk_away",
                status=passing.status,
            ) from None

    def _once(self, call: Call) -> Any:
        address = self._access.base_url.rstrip("/") + call.path
        content = None if call.body is None else json.dumps(call.body).encode()
        headers = {} if content is None else {"Content-Type": "application/json"}
        began = self._patience.clock()
        try:
            with self._client.stream(call.method, address, content=content, headers=headers) as response:
                if response.status_code == _TOO_MANY or response.status_code >= 500:
                    retry_after = response.headers.get("Retry-After")
                    raise _Passing(f"answered {response.status_code}", response.status_code, retry_after)
                if not response.is_success:
                    raise self._refusal(response.status_code, call)
                return self._document(response, began)
        except httpx2.TransportError as error:
            raise _Passing(f"could not be reached ({type(error).__name__})") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self._nonsense(type(error).__name__) from None

    def _document(self, response: httpx2.Response, began: float) -> Any:
        content = b""
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > _LONGEST_ANSWER:
                raise self._nonsense(f"more than {_LONGEST_ANSWER:,} bytes")
            if self._patience.clock() - began > self._patience.timeout:
                raise _Passing("answered too slowly")
        try:
            return json.loads(content) if content.strip() else None
        except (ValueError, RecursionError):
            raise self._nonsense("no JSON") from None

    def _nonsense(self, what: str) -> HelpDeskError:
        return HelpDeskError(f"{self._access.host} answered {what}. Check the help desk's address.", code="bad_answer")

    def _refusal(self, status: int, call: Call) -> HelpDeskError:
        host = self._access.host
        if status == _CONFLICT and call.is_guarded:
            return Overtaken(
                f"{host}: others change this ticket at the same time (409). Try again.",
                code="help_desk_conflict",
                status=status,
            )
        remedies = {
            401: "Set a token that it accepts.",
            403: "Give the token's user the rights of an agent.",
            404: "Check the ticket and the help desk's address.",
            422: "Check that tags and notes of this kind are allowed there.",
        }
        remedy = remedies.get(status, "Check the help desk's address and its version.")
        if 300 <= status < 400:
            remedy = "It points to another address: name that one."
        return HelpDeskError(
            f"{host} refused {call.method} {call.path.partition('?')[0]} ({status}). {remedy}",
            code="help_desk_refused",
            status=status,
        )

    def _pause(self, state: tenacity.RetryCallState) -> float:
        """The seconds until the next try: what the help desk names, else twice as long each time, give or take."""
        error = state.outcome.exception() if state.outcome else None
        named = _seconds(error.retry_after, self._patience.clock()) if isinstance(error, _Passing) else None
        if named is None:
            named = 2.0 ** (state.attempt_number - 1) * (0.5 + self._patience.chance())
        return min(self._patience.longest, named)


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that this machine trusts; reading them takes longer than a call."""
    return httpx2.create_ssl_context()


class _Passing(Exception):  # noqa: N818 - the same call may succeed later
    """An answer, or none, after which the same call may succeed."""

    def __init__(self, what: str, status: int | None = None, retry_after: str | None = None) -> None:
        super().__init__(what)
        self.status = status
        self.retry_after = retry_after


def _seconds(retry_after: str | None, now: float) -> float | None:
    """The seconds that a help desk wants to be left alone, given as a number or as a date."""
    if not retry_after:
        return None
    try:
        if retry_after.isascii() and retry_after.strip().isdecimal():
            return float(retry_after)
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except (ValueError, OverflowError):
        return None
