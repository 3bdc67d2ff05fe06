"""Finds where the characters of a cleaned text stood in the text as it was sent."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import IntArray
from tagdesk.text import clean

_TOKEN = re.compile(r"\S+")
_NEAR = 3  # tokens that may be passed over on the word of a single one that is the same
_TRIED = 50  # places of a token that are looked at


@dataclass(frozen=True, slots=True)
class _Token:
    """What stands between blanks: as models see it, and where it stood; `inside` says where in that it began."""

    form: str
    start: int
    end: int
    inside: int = 0


def origins(original: str, cleaned: str) -> IntArray:
    r"""The place in the original that each character of its cleaned text comes from, (characters,); -1: unknown.

    Places within a word are exact where cleaning kept its letters, else about right. Time grows with the texts' length.

    >>> origins("Hi\n  <b>you</b>", "Hi you").tolist()
    [0, 1, -1, 8, 9, 10]
    """
    found = np.full(len(cleaned), -1, dtype=np.int64)
    seen = [_Token(match[0], *match.span()) for match in _TOKEN.finditer(cleaned)]
    sent = _sent(original)
    for place, partner in enumerate(_partners([token.form for token in seen], [token.form for token in sent])):
        if partner >= 0:
            one, other = seen[place], sent[partner]
            found[one.start : one.end] = _places(original, one.form, other)
    return found


def _sent(original: str) -> list[_Token]:
    """The original's tokens as they look when each is cleaned alone."""
    found = []
    for match in _TOKEN.finditer(original):
        forms = clean(match[0]).text.split() or [match[0]]
        inside = 0
        for form in forms:
            at = match[0].find(form, inside)
            found.append(_Token(form, *match.span(), max(at, inside)))
            inside = at + len(form) if at >= 0 else inside
    return found


def _places(original: str, form: str, token: _Token) -> IntArray:
    start = original.find(form, token.start + token.inside, token.end)
    if start >= 0:
        return np.arange(start, start + len(form))
    return token.start + np.arange(len(form)) * (token.end - token.start) // len(form)


def _partners(seen: Sequence[str], sent: Sequence[str]) -> list[int]:
    """For each token that models see the one it was sent as, places that only rise; -1 where there is none.

    What looks another way, between two that were found, is shared out over those that were passed over there.
    """
    places: dict[str, list[int]] = {}
    for place, form in enumerate(sent):
        places.setdefault(form, []).append(place)
    found = [-1] * len(seen)
    start = 0
    for place, form in enumerate(seen):
        following = seen[place + 1] if place + 1 < len(seen) else None
        known = places.get(form, [])
        first = bisect_left(known, start)
        for other in known[first : first + _TRIED]:
            next_one = sent[other + 1] if other + 1 < len(sent) else None
            if other - start <= _NEAR or following == next_one:
                found[place], start = other, other + 1
                break
    return _filled(found, len(sent))


def _filled(found: list[int], count: int) -> list[int]:
    filled = list(found)
    place, before = 0, -1
    while place < len(found):
        if found[place] >= 0:
            before = found[place]
            place += 1
            continue
        end = next((n for n in range(place, len(found)) if found[n] >= 0), len(found))
        passed_over = (found[end] if end < len(found) else count) - before - 1
        for n in range(place, end):
            if passed_over:
                filled[n] = before + passed_over - (end - 1 - n) * passed_over // (end - place)
        place = end
    return filled
