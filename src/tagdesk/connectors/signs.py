"""The signs by which one knows a line of quoted mail, of a signature or of a disclaimer.

The words are in signs.toml. Only short lines are looked at, and each pattern is anchored, so that no line takes long.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

_LONGEST: Final = 300  # characters of a line that a mail program writes
_INTRO_LINES: Final = 3  # mail programs wrap "On ..., ... wrote:"
_HEADER_LINES: Final = 6
_EDGE: Final = "*_-=~#|[]() \t\u00a0"


@dataclass(frozen=True, slots=True)
class _Words:
    openers: tuple[str, ...]
    wrote: tuple[str, ...]
    own_words: tuple[str, ...]
    dividers: frozenset[str]
    reply_above: tuple[str, ...]
    sender: re.Pattern[str]
    header: re.Pattern[str]
    subject: re.Pattern[str]
    sent_from: tuple[str, ...]
    sign_offs: frozenset[str]
    small_in_names: frozenset[str]
    disclaimers: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


@cache
def _words() -> _Words:
    found = tomllib.loads(files("tagdesk.connectors").joinpath("signs.toml").read_text("utf-8").casefold())
    return _Words(
        openers=tuple(found["openers"]),
        wrote=tuple(found["wrote"]),
        own_words=tuple(found["own_words"]),
        dividers=frozenset(found["dividers"]),
        reply_above=tuple(found["reply_above"]),
        sender=_header(found["from_headers"]),
        header=_header(found["from_headers"] + found["subject_headers"] + found["more_headers"]),
        subject=_header(found["subject_headers"]),
        sent_from=tuple(found["sent_from"]),
        sign_offs=frozenset(found["sign_offs"]),
        small_in_names=frozenset(found["small_in_names"]),
        disclaimers=tuple((tuple(each["begins"]), tuple(each["says"])) for each in found["disclaimers"]),
    )


def _header(names: Sequence[str]) -> re.Pattern[str]:
    return re.compile(rf"[*\s]{{0,5}}(?:{'|'.join(map(re.escape, names))})\s?:", re.IGNORECASE)


def is_marked(line: str) -> bool:
    """Whether a line carries the mark of quoted mail.

    >>> is_marked(" > Hello"), is_marked(">:("), is_marked("5 > 4")
    (True, False, False)
    """
    start = line.lstrip()
    return start.startswith(">") and not start.startswith((">:", ">.<", ">_<"))


def unmarked(line: str) -> str:
    """A line without the marks of quoted mail."""
    return line.lstrip("> \t\u00a0")


def after_intro(lines: Sequence[str], at: int) -> int:
    """Where the lines go on after an "On ..., ... wrote:" that begins at a place; that place itself where none does.

    >>> after_intro(["On 3 May 2026 at 10:00, Ada Lovelace", "<ada@example.com> wrote:", "Hello"], 0)
    2
    """
    start = lines[at].strip().casefold()
    is_opened = start.startswith(_words().openers)
    if not is_opened and "@" not in start:
        return at
    joined = ""
    for place in range(at, min(at + (_INTRO_LINES if is_opened else 1), len(lines))):
        joined = f"{joined} {lines[place].strip()}".casefold()
        if len(joined) > _LONGEST:
            return at
        if joined.endswith(":") and _ends_with_wrote(joined):
            is_dated = is_opened and any(map(str.isdigit, joined)) and not joined.endswith(_words().own_words)
            return place + 1 if is_dated or ("<" in joined and "@" in joined) else at
    return at


def _ends_with_wrote(joined: str) -> bool:
    """Whether "wrote" or its like stands last, or before a name."""
    ends = (joined.rpartition(word) for word in _words().wrote)
    return any(word and (len(name.split()) <= 4 or name.endswith(">:")) for _, word, name in ends)


def is_divider(line: str) -> bool:
    """Whether a line parts a message from older ones below.

    >>> is_divider("---------- Forwarded message ---------"), is_divider("my original message")
    (True, False)
    """
    if len(line) > _LONGEST:
        return False
    core = line.strip().casefold().strip("-_=*#~ \t:")
    if core in _words().dividers:
        return core.startswith(("begin ", "anfang ")) or line.strip()[:1] in set("-_=*#~")
    return line.lstrip().startswith("##") and any(words in core for words in _words().reply_above)


def starts_header_block(lines: Sequence[str], at: int) -> bool:
    """Whether an older message begins here: its sender, and right below two more headers, with an address or a subject.

    >>> starts_header_block(["From: Ada", "Sent: Monday", "Subject: Your parcel"], 0)
    True
    >>> starts_header_block(["From: Berlin", "To: Paris", "Date: 3 May"], 0)
    False
    """
    if not _is_short(lines[at]) or not _words().sender.match(lines[at]):
        return False
    below = [line for line in lines[at + 1 : at + _HEADER_LINES] if _is_short(line) and _words().header.match(line)]
    is_mail = "@" in lines[at] or any("@" in line or _words().subject.match(line) for line in below)
    return len(below) >= 2 and is_mail


def is_furniture(line: str) -> bool:
    """Whether a quoted line says nothing by itself: a header, a greeting, an intro or a divider.

    >>> is_furniture("Hi Ada,"), is_furniture("Shall we refund it?")
    (True, False)
    """
    if not _is_short(line):
        return False
    is_greeting = line.rstrip().endswith((",", "!")) and len(line.split()) <= 3
    return is_greeting or _words().header.match(line) is not None or is_divider(line) or after_intro([line], 0) > 0


def is_rule(line: str) -> bool:
    """Whether a line is drawn across the page.

    >>> is_rule("____________"), is_rule("- two")
    (True, False)
    """
    core = line.strip()
    return 5 <= len(core) <= _LONGEST and not core.strip("-_=")


def starts_signature(line: str) -> bool:
    """Whether a line is the "-- " that mail programs put above a signature.

    >>> starts_signature("-- "), starts_signature("-----")
    (True, False)
    """
    return line.strip() in {"--", "__", "\u2014"}


def is_sent_from(line: str) -> bool:
    """Whether a mail program advertises itself.

    >>> is_sent_from("Sent from my iPhone")
    True
    """
    start = line.strip(_EDGE).casefold()
    return len(start) <= 80 and len(start.split()) <= 8 and start.startswith(_words().sent_from)


def is_sign_off(line: str) -> bool:
    """Whether a line is "Best regards," or alike, and nothing else.

    >>> is_sign_off("Thanks!"), is_sign_off("Thanks, and cancel my plan")
    (True, False)
    """
    return _is_short(line) and line.strip(" \t,.!;:-*_").casefold() in _words().sign_offs


def is_name(line: str) -> bool:
    """Whether a line could be a name, a role or a company: few words, each with a capital, none shouted.

    >>> is_name("Ada Lovelace"), is_name("Head of ACME"), is_name("refund my money"), is_name("REFUND NOW")
    (True, True, False, False)
    """
    words = line.strip(_EDGE).split()
    if not 1 <= len(words) <= 5 or not _is_short(line) or line.rstrip().endswith(("?", "!", ".", ":")):
        return False
    is_shouted = line.isupper() and max(map(len, words)) > 3
    return not is_shouted and all(word[0].isupper() or word in _words().small_in_names for word in words)


def is_contact(line: str) -> bool:
    """Whether a line holds an address or a telephone number, and little else.

    >>> is_contact("T: +49 30 1234567"), is_contact("www.example.com"), is_contact("my order 1234567 is late")
    (True, True, False)
    """
    words = line.split()
    if not _is_short(line) or not 1 <= len(words) <= 6:
        return False
    plain = [word for word in words if word.isalpha() and word.islower()]
    is_address = any("@" in word or word.startswith(("http", "www.")) for word in words)
    return len(plain) <= 1 and (is_address or sum(map(str.isdigit, line)) >= 6)


def is_disclaimer(paragraph: str) -> bool:
    """Whether a paragraph is the lawyer's, the scanner's or the gateway's.

    >>> is_disclaimer("This e-mail is confidential and meant for its addressee.")
    True
    >>> is_disclaimer("This message is intended for billing: I was charged twice.")
    False
    """
    start = paragraph[:_LONGEST].strip(_EDGE).casefold()
    begun = [words for openings, words in _words().disclaimers if start.startswith(openings)]
    said = paragraph.casefold() if begun else ""
    return any(word in said for words in begun for word in words)


def _is_short(line: str) -> bool:
    return len(line) <= _LONGEST
