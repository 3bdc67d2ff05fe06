"""Finds the words of a text as it was sent, and leaves some of them out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tagdesk.arrays import IntArray
from tagdesk.text import clean

LONGEST = 24_000  # characters of a ticket in which words are looked for; models read fewer
NOTHING = "."  # stands for a text of which nothing visible is left; no model reads the empty text

# A character's kind: w letter, d digit, u letter of a script without blanks, m what belongs to the character before,
# s symbol such as an emoji, ' joins words, . joins digits, c what turns or controls the writing, p other, blank.
_WORD = re.compile(r"[wd][wdm]*+(?:'[wd][wdm]*+|(?<=d)\.d[wdm]*+)*+|um*+(?:um*+)?|s[sm]*+")
_TOKEN = re.compile(r"[^ ]+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*+>")
_ENTITY = re.compile(r"&#?[A-Za-z0-9]{1,32};")
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SKIN = range(0x1F3FB, 0x1F400)  # tones of an emoji's skin


class Span(NamedTuple):
    """A stretch of a text: characters (code points) from `start` up to, but without, `end`."""

    start: int
    end: int


def words_of(text: str) -> list[Span]:
    r"""The words of a text that `check_text` accepts, in order.

    None overlaps another, and none cuts a letter off its marks or an emoji in two. What people write without blanks
    comes in pieces of two characters. A run of emoji is a word; so is a run of signs that stands alone. Tags of HTML
    are none.

    >>> text = "Can't log in: 1,50 gone!"
    >>> [text[word.start : word.end] for word in words_of(text)]
    ["Can't", 'log', 'in', '1,50', 'gone']
    """
    kinds = _kinds(text)
    found: list[Span] = []
    for token in _TOKEN.finditer(kinds):
        inside = [Span(*word.span()) for word in _WORD.finditer(kinds, token.start(), token.end())]
        if not inside and clean(text[token.start() : token.end()]).text:
            inside = [Span(*token.span())]
        found += inside
    return found


def opening(text: str) -> str:
    """The text as far as words are looked for in it: whole, or cut at a blank where it is longer than `LONGEST`.

    >>> opening("refund me")
    'refund me'
    """
    if len(text) <= LONGEST:
        return text
    cut = max(text.rfind(blank, LONGEST // 2, LONGEST) for blank in (" ", "\n"))
    return text[: cut if cut > 0 else LONGEST]


def owners(text: str, words: Sequence[Span]) -> IntArray:
    """Whose each character is, (characters,): the place of a word, or -1 for blanks and tags.

    Signs belong to the word of the same token that stands before them, else to the one after, else to the last word.

    >>> owners("(ok) > go!", words_of("(ok) > go!")).tolist()
    [0, 0, 0, 0, -1, 0, -1, 1, 1, 1]
    """
    found = np.full(len(text), -1, dtype=np.int64)
    following = 0
    for token in _TOKEN.finditer(_kinds(text)):
        first = following
        while following < len(words) and words[following].start < token.end():
            following += 1
        if first == following and words:
            found[token.start() : token.end()] = max(0, first - 1)
        for place in range(first, following):
            start = token.start() if place == first else words[place].start
            end = token.end() if place == following - 1 else words[place + 1].start
            found[start:end] = place
    return found


def without(text: str, spans: Sequence[Span]) -> str:
    """The text with stretches left out; `NOTHING` where nothing visible is left.

    >>> without("please refund me", [Span(0, 6)]), without("refund", [Span(0, 6)])
    (' refund me', '.')
    """
    pieces, place = [], 0
    for span in sorted(spans):
        pieces.append(text[place : span.start])
        place = max(place, span.end)
    left = "".join([*pieces, text[place:]])
    return left if any(map(str.isalnum, left)) or clean(left).text else NOTHING


def _kinds(text: str) -> str:
    """The kind of each character, as many as there are characters."""
    kinds = text.translate({ord(character): _kind(character) for character in set(text)})
    if "<" in text:
        kinds = _painted(kinds, text, _MARKUP, "", " ")
    if "&" in text:
        kinds = _painted(kinds, text, _ENTITY, "w", "p")
    return kinds


def _painted(kinds: str, text: str, pattern: re.Pattern[str], letter: str, other: str) -> str:
    """The kinds, with those of markup changed: to `letter` where it stands for one, to `other` where for none."""
    pieces, place = [], 0
    for match in pattern.finditer(text):
        meant = clean(match[0]).text
        if meant == match[0] or (meant and not letter):
            continue  # it is no markup, but what somebody wrote
        kind = letter if meant.isalnum() else other
        pieces += [kinds[place : match.start()], kind * len(match[0])]
        place = match.end()
    return "".join([*pieces, kinds[place:]])


def _kind(character: str) -> str:
    category = unicodedata.category(character)
    if character.isspace():
        return " "
    if category == "Cc" or _TURNING.match(character):
        return "c"
    if category == "Cf" or category[0] == "M" or ord(character) in _SKIN:
        return "m"
    if category[0] in "LN" or category == "Pc":
        return "u" if _UNSPACED.match(character) else "d" if category == "Nd" else "w"
    if category == "So":
        return "s"
    return "'" if character in "'\u2019-\u2010\u2011" else "." if character in ".,:" else "p"
