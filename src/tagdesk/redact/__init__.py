"""Personal data in a customer's message, replaced by its kind before the message is stored or logged.

A finder names the spans of one kind; `redact` alone decides what becomes of them. The finders work one after the
other, each on what the earlier ones left, so no two can claim the same characters. They read a plain view of the
text, of the same length: full-width and other digits as ASCII, every blank and dash as the one on a keyboard.

Redacting twice changes nothing. A placeholder bounds a find as the letters or digits did that it replaced, so it
hardly ever frees what stood beside it; where it does, a further pass takes that as well.

Names, postal addresses and dates of birth have no form of their own and stay; `presidio_finder` looks for some.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tagdesk.errors import MissingExtra
from tagdesk.redact.emails import find_emails
from tagdesk.redact.numbers import find_cards, find_ibans, find_ips, find_ssns
from tagdesk.redact.phones import find_phones
from tagdesk.redact.spans import KINDS, Finder, Span, replaced, settled
from tagdesk.redact.tokens import find_tokens
from tagdesk.redact.view import plain

__all__ = [
    "FINDERS",
    "KINDS",
    "Finder",
    "Redacted",
    "Span",
    "find_cards",
    "find_emails",
    "find_ibans",
    "find_ips",
    "find_phones",
    "find_ssns",
    "find_tokens",
    "presidio_finder",
    "redact",
]

FINDERS: Final[tuple[Finder, ...]] = (
    find_tokens,
    find_emails,
    find_ibans,
    find_cards,
    find_ips,
    find_ssns,
    find_phones,  # last: it reads what stands around a number
)
_PASSES = 5  # the second finds something, and a third is needed, only where finds are glued together


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without what was found in it, with how often each kind was; `counts` holds the kinds found alone."""

    text: str
    counts: Mapping[str, int]

    @property
    def found(self) -> bool:
        """Whether anything was replaced.

        >>> redact("The parcel is late.").found
        False
        """
        return bool(self.counts)


def presidio_finder(language: str = "en") -> Finder:
    """A finder of names, places and more that asks Microsoft Presidio; it belongs behind `FINDERS`.

    Raises MissingExtra where Presidio is not installed. It reads a model of its own, so make one and keep it.
    """
    try:
        presidio = importlib.import_module("presidio_analyzer")
    except ImportError:
        raise MissingExtra("Presidio", "presidio") from None
    analyzer = presidio.AnalyzerEngine()
    ours = {"EMAIL_ADDRESS": "EMAIL", "IBAN_CODE": "IBAN", "CREDIT_CARD": "CARD", "IP_ADDRESS": "IP", "US_SSN": "SSN",
            "PHONE_NUMBER": "PHONE"}  # fmt: skip

    def find(text: str) -> Iterator[Span]:
        for result in analyzer.analyze(text=text, language=language):
            yield result.start, result.end, ours.get(result.entity_type, result.entity_type)

    return find


def redact(text: str, finders: Sequence[Finder] = FINDERS) -> Redacted:
    """The text with each find replaced by its kind in brackets; all else stays as it is, to the character.

    Of finds that overlap, the earlier finder's stands. Raises ValueError where a finder gives a span outside the text
    or a kind that is not written in capitals.

    >>> redact("Call +49 30 1234567 about order 4711-2290 or write to ann@example.com")
    Redacted(text='Call [PHONE] about order 4711-2290 or write to [EMAIL]', counts={'EMAIL': 1, 'PHONE': 1})
    """
    view = plain(text)
    counts: Counter[str] = Counter()
    for _ in range(_PASSES):
        before = counts.total()
        for finder in finders:
            spans = settled(view, finder(view))
            counts.update(kind for _, _, kind in spans)
            text, view = replaced(text, spans), replaced(view, spans)
        if counts.total() == before:
            break
    return Redacted(text, dict(counts))
