"""Turns the HTML of a mail into lines, quoted ones marked as plain mail marks them.

lxml reads it as a stream of events (https://lxml.de/parsing.html#the-target-parser-interface), so that the time stays
linear in the text however deep the elements nest; parsers that build a tree take quadratic time for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from tagdesk.errors import MissingExtra

DIVIDER: Final = "-----Original Message-----"  # put where the older messages begin

_HTML = re.compile(
    r"</?(?:a|b|blockquote|body|br|center|div|em|font|h[1-6]|hr|html|i|img|li|ol|p|pre|span|strong|table|td|tr|u|ul)"
    r"(?:\s[^<>=]{0,200}=[^<>]{0,2000})?\s*+/?>",
    re.IGNORECASE,
)
_NEW_LINE = frozenset(
    {"address", "article", "blockquote", "br", "center", "dd", "div", "dl", "dt", "fieldset", "footer"}
)
_NEW_LINE |= {"form", "header", "hr", "li", "main", "ol", "option", "pre", "section", "table", "tr", "ul"}
_NEW_PARAGRAPH = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6"})
_CELLS = frozenset({"td", "th"})
_NO_NAMES: frozenset[str] = frozenset()
_UNREAD = frozenset({"head", "script", "style", "template", "svg", "title"})

# How mail programs mark what they add; in lower case, without the x_ of those that wrap another's.
_QUOTES = frozenset({"gmail_quote", "gmail_quote_container", "yahoo_quoted", "protonmail_quote", "zmail_extra"})
_DIVIDERS = frozenset({"divrplyfwdmsg", "appendonsend", "outlookmessageheader", "js-signaturemarker"})
_SIGNATURES = frozenset({"gmail_signature", "moz-signature", "signature", "protonmail_signature_block"})


def is_html(text: str) -> bool:
    """Whether a text holds a tag of the HTML that mail is written in.

    >>> is_html("a<br>b"), is_html("if a <b and c> d")
    (True, False)
    """
    return _HTML.search(text) is not None


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines that a reader sees, all of them and those outside signatures."""

    all: list[str]
    without_signatures: list[str]


def lines(html: str) -> Lines:
    """The lines of an HTML text, without the markup; raises MissingExtra without lxml."""
    try:
        etree = import_module("lxml.etree")
    except ImportError as error:
        raise MissingExtra("Reading HTML mail", "serve") from error
    seen = _Seen()
    parser = etree.HTMLParser(target=seen, encoding="utf-8", no_network=True, huge_tree=True)
    parser.feed(html.encode())
    parser.close()
    return Lines([line for line, _ in seen.lines], [line for line, is_signature in seen.lines if not is_signature])


class _Seen:
    """What the parser tells event by event, gathered into lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bool]] = []  # and whether a signature holds it
        self._line: list[str] = []
        self._ends: list[str] = []  # for each open element, what it makes of what it holds
        self._depths = {"unread": 0, "signature": 0, "quote": 0}

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        names = _names(attributes) if attributes else _NO_NAMES
        kind = _kind(tag, names)
        is_divider = not names.isdisjoint(_DIVIDERS)
        if tag in _NEW_PARAGRAPH:
            self._end_line(is_paragraph=True)
        elif kind or is_divider or tag in _NEW_LINE:
            self._end_line()
        elif tag in _CELLS:
            self._line.append(" ")
        if is_divider:
            self.lines.append((DIVIDER, False))
        self._ends.append(kind)
        if kind:
            self._depths[kind] += 1

    def end(self, tag: str) -> None:
        kind = self._ends.pop() if self._ends else ""
        if tag in _NEW_PARAGRAPH:
            self._end_line(is_paragraph=True)
        elif kind or tag in _NEW_LINE:
            self._end_line()
        if kind:
            self._depths[kind] -= 1

    def data(self, data: str) -> None:
        if not self._depths["unread"]:
            self._line.append(data)

    def comment(self, _text: str) -> None:
        """Comments are not seen."""

    def close(self) -> None:
        self._end_line()

    def _end_line(self, *, is_paragraph: bool = False) -> None:
        if self._line:
            text = " ".join("".join(self._line).split())
            self._line.clear()
            if text:
                marked = f"> {text}" if self._depths["quote"] else text
                self.lines.append((marked, self._depths["signature"] > 0))
        if is_paragraph and self.lines and self.lines[-1][0]:
            self.lines.append(("", False))


def _kind(tag: str, names: frozenset[str]) -> str:
    """What an element makes of what it holds: unread, a signature, a quote, or nothing else."""
    if tag in _UNREAD:
        return "unread"
    if not names.isdisjoint(_SIGNATURES):
        return "signature"
    return "quote" if tag == "blockquote" or not names.isdisjoint(_QUOTES) else ""


def _names(attributes: Mapping[str, str]) -> frozenset[str]:
    said = f"{attributes.get('class', '')} {attributes.get('id', '')}".lower()
    return frozenset(name.removeprefix("x_") for name in said.split())
