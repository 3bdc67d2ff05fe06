"""The labels of a ticket as one cell of a file holds them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from tagdesk.dataset.rows import Flaw

SEPARATOR = "|"
MAX_CELL = 100_000  # characters
MAX_LABELS = 1_000  # on one ticket

_QUOTED = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*""", re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "/": "/", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_HIGHEST = 0x10FFFF
_CODE = re.compile(r"__[a-z]+__")  # names of Python's inner parts, which no category has


def parse_labels(cell: str) -> frozenset[str]:
    """The labels in a cell: joined by `|`, or a list of quoted names as JSON or Python writes it; raises Flaw.

    Blanks around a name are dropped and repeated names collapse. The cell is read by hand and never evaluated.

    >>> sorted(parse_labels("Billing Issue | Refund Request"))
    ['Billing Issue', 'Refund Request']
    >>> sorted(parse_labels('''['Billing Issue', "Other's"]'''))
    ['Billing Issue', "Other's"]
    >>> parse_labels("")
    frozenset()
    """
    if len(cell) > MAX_CELL:
        raise Flaw("bad_labels", f"The labels take {len(cell):,} characters; at most {MAX_CELL:,} are read.")
    stripped = cell.strip()
    return label_set(_listed(stripped) if stripped.startswith("[") else stripped.split(SEPARATOR))


def label_set(names: Iterable[object]) -> frozenset[str]:
    """Label names, trimmed, without repeats or empty ones; raises Flaw for one that is not text."""
    labels = set()
    for name in names:
        if not isinstance(name, str):
            raise Flaw("bad_labels", f"A label is {_kind(name)}; each must be text.")
        if _CODE.search(name):
            raise Flaw("bad_labels", "A label looks like program code; expected the name of a category.")
        labels.add(name.strip())
    labels.discard("")
    if len(labels) > MAX_LABELS:
        raise Flaw("bad_labels", f"The row has {len(labels):,} labels; at most {MAX_LABELS:,} are read.")
    return frozenset(labels)


def join_labels(labels: Iterable[str]) -> str:
    """Labels as a cell that `parse_labels` reads back unchanged: joined by `|`, or a JSON list where a name forbids it.

    >>> join_labels({"B", "A"})
    'A|B'
    >>> join_labels({"A|B"})
    '["A|B"]'
    """
    ordered = sorted(labels)
    if any(SEPARATOR in label or label.startswith("[") for label in ordered):
        return json.dumps(ordered, ensure_ascii=False)
    return SEPARATOR.join(ordered)


def _listed(cell: str) -> list[str]:
    """The strings of a flat list literal."""
    if not cell.endswith("]"):
        raise Flaw("bad_labels", "The list of labels is not closed by ']'.")
    end = len(cell) - 1
    if not cell[1:end].strip():
        return []
    names, position = [], 1
    while True:
        match = _QUOTED.match(cell, position, end)
        if match is None:
            raise Flaw(
                "bad_labels", f"The list of labels is not a flat list of quoted names (character {position + 1})."
            )
        names.append(_unescaped(match[1] if match[2] is None else match[2]))
        position = match.end()
        if position == end:
            return names
        if cell[position] != ",":
            raise Flaw("bad_labels", f"The list of labels lacks a comma at character {position + 1}.")
        position += 1


def _unescaped(name: str) -> str:
    if "\\" not in name:
        return name
    try:  # JSON writes characters beyond U+FFFF as two halves, which belong together again
        return _ESCAPE.sub(_meant, name).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise Flaw("bad_encoding", "A label holds half of a character (a lone surrogate).") from None


def _meant(escape: re.Match[str]) -> str:
    word = escape[1]
    if len(word) > 1:
        code = int(word[1:], 16)
        if code <= _HIGHEST:
            return chr(code)
    elif word in _ESCAPED:
        return _ESCAPED[word]
    raise Flaw("bad_labels", "A label holds a backslash escape that neither JSON nor Python's repr writes.")


def _kind(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}"
