"""Asks a language model behind an OpenAI-compatible address for a completion.

Only the standard library is used. The key is sent to the named address alone: redirects are refused, plain HTTP is for
this machine, and no message repeats the key or what the server answered.
"""

from __future__ import annotations

import http.client
import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from tagdesk.address import check_address, is_here
from tagdesk.errors import TagdeskError, UsageError

_PASSING: Final = {408, 425, 429, 500, 502, 503, 504, 529}  # answers after which the same question may succeed
_LONGEST_ANSWER: Final = 16 * 2**20  # bytes
_LONGEST_WAIT: Final = 60.0  # seconds between two tries
_CHARACTERS_PER_TOKEN: Final = 4  # before a server has counted, and where none does


class ProviderError(TagdeskError):
    """A language model that cannot be reached, refuses, or answers nonsense."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote, and what it cost in tokens of question and answer."""

    text: str
    tokens: int


def estimated_tokens(messages: Sequence[Mapping[str, str]], answer: str = "") -> int:
    """Roughly how many tokens a question and its answer take.

    >>> estimated_tokens([], "about three")
    4
    """
    return math.ceil((len(json.dumps(messages)) + len(answer)) / _CHARACTERS_PER_TOKEN)


@dataclass(frozen=True)
class Endpoint:
    """A model behind an address.

    Attributes:
        base_url: such as https://api.example.com/v1; `/chat/completions` is added.
        model: the name by which the server knows the model.
        key: what the server wants as a bearer token; it never shows.
        timeout: seconds that one try may take.
        tries: how often a question is asked while the server is busy or away.
        wait: what passes the seconds between two tries.

    >>> Endpoint("http://example.com/v1", "some-model")
    Traceback (most recent call last):
    ...
    tagdesk.errors.UsageError: --base-url 'http://example.com/v1': plain HTTP is for this machine only. Use https://.
    """

    base_url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 120.0
    tries: int = 5
    wait: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        check_address(
            self.base_url, "--base-url", example="https://api.example.com/v1", key="the key as TAGDESK_API_KEY"
        )
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise UsageError("TAGDESK_API_KEY holds characters that no key has. Copy it again.", code="bad_key")

    def ask(self, messages: Sequence[Mapping[str, str]], *, most_tokens: int) -> Reply:
        """The model's answer; raises ProviderError where there is none after all tries."""
        question = {
            "model": self.model,
            "messages": list(messages),
            "max_tokens": most_tokens,
            "response_format": {"type": "json_object"},
        }
        what = "was not asked"
        for tried in range(1, self.tries + 1):
            try:
                return _reply(self._answer(json.dumps(question).encode()), question)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code not in _PASSING:
                    raise ProviderError(_refusal(error.code, self._host), code="provider_refused") from None
                what, pause = f"answered {error.code}", _retry_after(error.headers.get("Retry-After"))
            except (OSError, http.client.HTTPException) as error:  # also timeouts and names that resolve to nothing
                what, pause = f"could not be reached ({type(error).__name__})", None
            if tried < self.tries:
                self.wait(min(_LONGEST_WAIT, 2.0 ** (tried - 1) if pause is None else pause))
        raise ProviderError(
            f"{self._host} {what} {self.tries} times in a row. Try again later, or check --base-url.",
            code="provider_away",
        )

    @property
    def _host(self) -> str:
        return urlsplit(self.base_url).netloc

    def _answer(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        address = f"{self.base_url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(address, body, headers)  # noqa: S310 - http and https only, checked above
        # A proxy of the environment is for other machines: this one's traffic and key stay here.
        proxies = urllib.request.ProxyHandler({} if is_here(urlsplit(self.base_url).hostname or "") else None)
        with urllib.request.build_opener(proxies, _NoRedirect).open(request, timeout=self.timeout) as response:
            answer: bytes = response.read(_LONGEST_ANSWER + 1)
        if len(answer) > _LONGEST_ANSWER:
            raise ProviderError(f"{self._host} answered more than {_LONGEST_ANSWER:,} bytes.", code="bad_answer")
        return answer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirect as a refusal, since the key is meant for the named address only."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _reply(answer: bytes, question: Mapping[str, Any]) -> Reply:
    try:
        document = json.loads(answer)
        text = document["choices"][0]["message"]["content"]
        used = (document.get("usage") or {}).get("total_tokens")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        text = used = None
    if not isinstance(text, str):
        raise ProviderError(
            "The answer is not what /chat/completions gives: expected choices[0].message.content. Check --base-url.",
            code="bad_answer",
        )
    if isinstance(used, bool) or not isinstance(used, int) or used < 0:
        used = estimated_tokens(question["messages"], text)
    return Reply(text, used)


def _refusal(status: int, host: str) -> str:
    if status in {401, 403}:
        return f"{host} refused the key ({status}). Set TAGDESK_API_KEY to a key that it accepts."
    if status == 404:
        return f"{host} knows no such model or address (404). Check --model and --base-url."
    if 300 <= status < 400:
        return f"{host} points to another address ({status}). Name that one with --base-url."
    return f"{host} refused the request ({status}). Check --model and --base-url."


def _retry_after(value: str | None) -> float | None:
    """The seconds that a server wants to be left alone, given as a number or as a date."""
    if not value:
        return None
    try:
        if value.strip().isdecimal():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
