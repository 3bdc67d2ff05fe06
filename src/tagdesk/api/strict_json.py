"""Reads JSON as the standard means it: UTF-8, no repeated names, no NaN, no bottomless nesting."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from tagdesk.api.problems import GONE, Problem

DEEPEST = 32  # nested arrays and objects; our requests have three
LONGEST_NUMBER = 40  # digits


class StrictRequest(Request):
    """A request whose JSON is read strictly."""

    async def body(self) -> bytes:
        """The body; raises Problem where the client leaves before all of it is here."""
        try:
            return await super().body()
        except ClientDisconnect:
            raise Problem(GONE, "client_gone", "The client left before the end of its request.") from None

    async def json(self) -> Any:
        """The body's value; raises Problem."""
        return loads(await self.body())


def loads(body: bytes) -> Any:
    """The value that the body holds; raises Problem (400) that does not repeat it.

    >>> loads(b'{"text": "hi"}')
    {'text': 'hi'}
    >>> loads(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    tagdesk.api.problems.Problem: 400: A name stands twice in the same object.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(400, "bad_encoding", f"The body is not UTF-8 from byte {error.start} on.") from None
    _refuse_depth(text)
    try:
        return json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_whole, parse_float=_number
        )
    except json.JSONDecodeError as error:
        raise Problem(400, "bad_json", f"The body is not JSON: character {error.pos} is unexpected.") from None
    except RecursionError:
        raise _too_deep() from None


def _refuse_depth(text: str) -> None:
    """Count brackets outside of strings; cheaper than a parser that runs into its limit."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    depth, place, in_string = 0, 0, False
    while place < len(text):
        character = text[place]
        if in_string:
            if character == "\\":
                place += 1
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > DEEPEST:
                raise _too_deep()
        elif character in "]}":
            depth -= 1
        place += 1


def _too_deep() -> Problem:
    return Problem(400, "too_deep", f"The body nests deeper than {DEEPEST} levels.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Problem(400, "duplicate_name", "A name stands twice in the same object.")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise Problem(400, "bad_number", "NaN and Infinity are no JSON.")


def _whole(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise Problem(400, "bad_number", f"A number has more than {LONGEST_NUMBER} digits.")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise Problem(400, "bad_number", "A number is too large.")
    return value
