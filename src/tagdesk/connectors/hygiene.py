"""Leaves of a message what its writer wrote now: no quoted replies, signature, disclaimer, markup or attachment.

The newest message is what counts; a quoted one only explains it. What might be the writer's own words stays: a
signature left in costs little, a need taken out costs the ticket.

The rules for replies are our own. The libraries for it (mail-parser-reply 1.36, quotequail 0.5.4, talon 1.4.4) search
with patterns that take seconds to minutes for a hostile text of 20,000 characters; here every step is linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from tagdesk.connectors import markup
from tagdesk.connectors.signs import (
    after_intro,
    is_contact,
    is_disclaimer,
    is_divider,
    is_furniture,
    is_marked,
    is_name,
    is_rule,
    is_sent_from,
    is_sign_off,
    starts_header_block,
    starts_signature,
    unmarked,
)
from tagdesk.text import ATTACHMENT_REMOVED, MAX_CHARACTERS, TRUNCATED, clean, stored

MARKUP_REMOVED: Final = "markup_removed"
QUOTES_REMOVED: Final = "quotes_removed"
QUOTE_KEPT: Final = "quote_kept"
SIGNATURE_REMOVED: Final = "signature_removed"
DISCLAIMER_REMOVED: Final = "disclaimer_removed"
KEPT_WHOLE: Final = "kept_whole"
FLAGS: Final = (
    TRUNCATED,  # something at the end was not read
    MARKUP_REMOVED,  # was HTML
    ATTACHMENT_REMOVED,  # held a long base64 run
    QUOTES_REMOVED,  # held older messages
    QUOTE_KEPT,  # too short to stand alone: the first quoted paragraph stays
    DISCLAIMER_REMOVED,
    SIGNATURE_REMOVED,
    KEPT_WHOLE,  # nothing would have been left
)

_STANDS_ALONE = 4  # words
_LONGEST_QUOTE = 1_000  # characters of the quoted paragraph that stays
_SIGNATURE_LINES = 12  # more below "--" is a message
_SIGN_OFF_LINES = 8
_ENCODED = re.compile(
    r"(?<![A-Za-z0-9+/=])(?:[A-Za-z0-9+/=]{60,}+[\s>]*+)++(?:[A-Za-z0-9+/]{1,59}={1,2}(?![A-Za-z0-9]))?"
)
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")  # Chinese parts no words


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest message of a thread, and what was done to it; `flags` stand in the order of `FLAGS`."""

    text: str
    flags: tuple[str, ...] = ()


def newest(body: str, *, is_html: bool = False) -> Newest:
    r"""What the writer wrote in the last message of a thread.

    Raises InputError (`bad_encoding`) where the body holds half a character, and MissingExtra where it is HTML and lxml
    is not installed.

    >>> newest("Where is my parcel? It is late.\n\nOn 3 May 2026, Ada wrote:\n> Hello!\n> How can we help?")
    Newest(text='Where is my parcel? It is late.', flags=('quotes_removed',))
    >>> newest("Yes, please do.\n> Shall we refund it?\n>\n> Ada")
    Newest(text='Yes, please do.\n> Shall we refund it?', flags=('quotes_removed', 'quote_kept'))

    Args:
        body: as the help desk gave it.
        is_html: whether the help desk says that it is HTML; a body with the tags of HTML is taken for it anyhow.
    """
    flags = {TRUNCATED} if len(body) > MAX_CHARACTERS else set()
    whole = stored(body[:MAX_CHARACTERS])
    if is_html or markup.is_html(whole):
        flags.add(MARKUP_REMOVED)
        lines = markup.lines(whole)
        if lines.without_signatures != lines.all and _says_something("".join(lines.without_signatures)):
            flags.add(SIGNATURE_REMOVED)
            whole = _joined(lines.without_signatures)
        else:
            whole = _joined(lines.all)
    whole = _joined(whole.splitlines())
    without = _joined(_ENCODED.sub(_blank_if_attachment, whole).splitlines())
    if without != whole:
        flags.add(ATTACHMENT_REMOVED)
    text, more = _told(without)
    if not _says_something(text):
        text = without if _says_something(without) else whole
        more = {KEPT_WHOLE} if text else set()
    flags |= more
    return Newest(text, tuple(flag for flag in FLAGS if flag in flags))


def _told(text: str) -> tuple[str, set[str]]:
    """The new part of a thread in plain text, and the flags for what was left out."""
    flags = set()
    new, old = _parted(text.splitlines())
    new = _joined(new).splitlines()
    if old:
        flags.add(QUOTES_REMOVED)
    for flag, without in ((DISCLAIMER_REMOVED, _without_disclaimers), (SIGNATURE_REMOVED, _without_signature)):
        left = without(new)
        if len(left) < len(new) and _says_something("".join(left)):
            new = left
            flags.add(flag)
    if not _says_something("".join(new)):
        return "", flags
    kept = _first_paragraph(old) if len(_WORD.findall(" ".join(new))) < _STANDS_ALONE else []
    if kept:
        flags.add(QUOTE_KEPT)
    return _joined([*new, *kept]), flags


def _parted(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The new lines and the quoted ones, the latter without marks."""
    new: list[str] = []
    old: list[str] = []
    at = 0
    while at < len(lines):
        if is_marked(lines[at]):
            old.append(unmarked(lines[at]))
            at += 1
        elif (after := after_intro(lines, at)) > at:
            below = next((n for n in range(after, len(lines)) if lines[n].strip()), len(lines))
            if below == len(lines) or not is_marked(lines[below]):
                return new, [*old, *map(unmarked, lines[below:])]
            at = below
        elif is_divider(lines[at]) or starts_header_block(lines, at):
            while new and (not new[-1].strip() or is_rule(new[-1])):
                new.pop()
            return new, [*old, *map(unmarked, lines[at:])]
        else:
            new.append(lines[at])
            at += 1
    return new, old


def _first_paragraph(old: Iterable[str]) -> list[str]:
    """The first quoted paragraph that says something, marked, cut where it is very long."""
    for paragraph in _paragraphs(old):
        lines = [line for line in paragraph if not is_furniture(line)]
        if _says_something("".join(lines)):
            quoted = "\n".join(f"> {line}" for line in lines)
            return quoted[:_LONGEST_QUOTE].splitlines()
    return []


def _without_disclaimers(lines: Sequence[str]) -> list[str]:
    kept = [paragraph for paragraph in _paragraphs(lines) if not is_disclaimer(" ".join(paragraph))]
    return "\n\n".join("\n".join(paragraph) for paragraph in kept).splitlines()


def _without_signature(lines: Sequence[str]) -> list[str]:
    left = [line for line in lines if not is_sent_from(line)]
    filled = [n for n, line in enumerate(left) if line.strip()]
    for place in filled[-_SIGNATURE_LINES - 1 :]:
        if starts_signature(left[place]):
            return left[:place]
    for place in reversed(filled[-_SIGN_OFF_LINES:]):
        if is_sign_off(left[place]):
            return left[:place]
        if not (is_name(left[place]) or is_contact(left[place])):
            break
    return left


def _blank_if_attachment(run: re.Match[str]) -> str:
    return "\n" if ATTACHMENT_REMOVED in clean(run[0]).flags else run[0]


def _paragraphs(lines: Iterable[str]) -> list[list[str]]:
    return [list(group) for is_filled, group in groupby(lines, lambda line: bool(line.strip())) if is_filled]


def _joined(lines: Iterable[str]) -> str:
    """Lines without blanks at their ends, and at most one empty line in a row."""
    kept: list[str] = []
    for line in map(str.rstrip, lines):
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip("\n")


def _says_something(text: str) -> bool:
    return any(map(str.isalnum, text))
