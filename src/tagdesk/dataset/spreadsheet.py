"""Cells that a spreadsheet would run, made harmless, and read back unchanged."""

from __future__ import annotations

import re

_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four are full-width
_NUMBER = re.compile(r"-(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def escape(cell: str) -> str:
    """The cell with a leading `'` if a spreadsheet would take it for a formula; plain negative numbers stay.

    >>> escape("=1+1"), escape("-0.5"), escape("'=1+1")
    ("'=1+1", '-0.5', "''=1+1")
    """
    return "'" + cell if _would_run(cell) else cell


def unescape(cell: str) -> str:
    """The cell before `escape`; what `escape` did not write stays as it is.

    >>> unescape("'=1+1"), unescape("'tis fine")
    ('=1+1', "'tis fine")
    """
    return cell[1:] if cell.startswith("'") and _would_run(cell[1:]) else cell


def _would_run(cell: str) -> bool:
    """Whether a spreadsheet would run the cell once it has taken away the quotes before it."""
    bare = cell.lstrip("'")
    return bare.startswith(_RUNS) and not _NUMBER.fullmatch(bare)
