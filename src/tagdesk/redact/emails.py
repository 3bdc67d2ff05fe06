"""Finds e-mail addresses, in any script."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tagdesk.redact.spans import Span

_LOCAL = r"[^\s\x00-\x1f@\"(),:;<>\[\\\]{}|/=!?#*\u3001-\u301f]"  # anything else may stand before the @, in any script
_AT = r"(?:@| ?[(\[{<] ?(?:at|@|\u00e4t) ?[)\]}>] ?)"
_DOT = r"(?:\.| ?[(\[{<] ?(?:dot|punkt|\.) ?[)\]}>] ?)"
_ADDRESS = (
    rf"(?:(?:(?!\w){_LOCAL})*+(?P<plain>{_LOCAL}++)|(?P<quoted>\"[^\"\n]{{1,64}}\")){_AT}(?!\dx\.)"  # logo@2x.png
    rf"(?:[\w-]{{1,63}}{_DOT}){{1,8}}(?:xn--[a-z0-9-]{{2,59}}|[a-z]{{2,63}}|[^\W\d_]{{2,63}})"
)
_EMAIL = re.compile(rf"(?<!{_LOCAL}){_ADDRESS}", re.IGNORECASE)
_NEXT_EMAIL = re.compile(_ADDRESS, re.IGNORECASE)
_BRACKETED_AT = re.compile(r"[(\[{<] ?(?:at|\u00e4t) ?[)\]}>]", re.IGNORECASE)


def find_emails(text: str) -> Iterator[Span]:
    """E-mail addresses, also `ann (at) shop (dot) com`, where brackets leave no doubt.

    >>> list(find_emails("From: ann+shop@example.com"))
    [(6, 26, 'EMAIL')]
    """
    match = _EMAIL.search(text) if "@" in text or _BRACKETED_AT.search(text) else None
    while match:
        yield match.start(match.lastgroup or 0), match.end(), "EMAIL"
        match = _NEXT_EMAIL.match(text, match.end()) or _EMAIL.search(text, match.end())
