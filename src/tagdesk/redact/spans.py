"""Spans of personal data: what a finder gives, and how it is put in order before a text is changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

KINDS: Final = ("TOKEN", "EMAIL", "IBAN", "CARD", "IP", "SSN", "PHONE")

Span: TypeAlias = tuple[int, int, str]  # start, end, kind
Finder: TypeAlias = Callable[[str], Iterable[Span]]

# "[AT]" and "[DOT]" are ways to write an e-mail address, no placeholders.
_PLACEHOLDER = re.compile(r"\[(?!AT\]|DOT\])[A-Z][A-Z_]{1,39}\]")
_PLACEHOLDER_AT_MOST = 42


def settled(text: str, found: Iterable[Span]) -> list[Span]:
    """One finder's spans in the order of the text, overlapping ones made one, and none over a placeholder."""
    merged: list[Span] = []
    for start, end, kind in sorted(found, key=lambda span: (span[0], -span[1])):
        if not 0 <= start < end <= len(text):
            raise ValueError(f"A finder gave the span {start}-{end} in a text of {len(text)} characters.")
        if not _PLACEHOLDER.fullmatch(f"[{kind}]"):
            raise ValueError(f"A finder gave the kind {kind!r}; expected capital letters, such as 'PERSON'.")
        if merged and start < merged[-1][1]:
            first, last, name = merged.pop()
            merged.append((first, max(last, end), name))
        else:
            merged.append((start, end, kind))
    return [piece for span in merged for piece in _beside_placeholders(text, span)]


def replaced(text: str, spans: Iterable[Span]) -> str:
    """The text with the kind of each span in its place; the spans are in order and do not overlap.

    >>> replaced("Ann is late", [(0, 3, "PERSON")])
    '[PERSON] is late'
    """
    pieces: list[str] = []
    place = 0
    for start, end, kind in spans:
        pieces += (text[place:start], f"[{kind}]")
        place = end
    return "".join([*pieces, text[place:]])


def _beside_placeholders(text: str, span: Span) -> Iterator[Span]:
    start, end, kind = span
    if "[" not in text[max(0, start - _PLACEHOLDER_AT_MOST) : end]:
        yield span
        return
    for hole in _PLACEHOLDER.finditer(text, max(0, start - _PLACEHOLDER_AT_MOST), end + _PLACEHOLDER_AT_MOST):
        if hole.end() > start and hole.start() < end:
            if any(map(str.isalnum, text[start : hole.start()])):
                yield start, hole.start(), kind
            start = hole.end()
    if any(map(str.isalnum, text[start:end])):
        yield start, end, kind
