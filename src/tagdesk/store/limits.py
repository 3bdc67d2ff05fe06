"""What fits into a store: both databases must be able to hold it, and give it back the same."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tagdesk.errors import UsageError

LONGEST_ID = 200  # characters
LONGEST_NOTE = 10_000  # characters
LONGEST_TEXT = 1_000_000  # characters
MOST_ROWS = 1_000  # in one answer
LARGEST = 2**63 - 1  # the largest number that a column holds

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL has no NUL in text, UTF-8 no half of a surrogate pair


def clean_text(text: str) -> str:
    r"""A ticket's text without what no database holds: NUL, and halves of surrogate pairs.

    >>> clean_text("a\0b\ud800")
    'ab'
    """
    if len(text) > LONGEST_TEXT:
        raise _refusal("text", f"has {len(text):,} characters", f"at most {LONGEST_TEXT:,}")
    return _UNSTORABLE.sub("", text)


def check_id(what: str, *values: str | None) -> None:
    """Raise UsageError unless each value is absent or may stand as an id, a name or a label."""
    for value in values:
        if value is not None:
            _check(what, value, 1, LONGEST_ID)


def check_ids(what: str, values: Iterable[str]) -> None:
    """Raise UsageError unless each value may stand as an id, a name or a label."""
    check_id(what, *values)


def check_note(what: str, value: str) -> None:
    """Raise UsageError unless the value may stand as a remark, which can be empty."""
    _check(what, value, 0, LONGEST_NOTE)


def check_limit(limit: int) -> None:
    """Raise UsageError unless so many rows may be asked for."""
    if not 1 <= limit <= MOST_ROWS:
        raise _refusal("limit", "is out of range", f"1 to {MOST_ROWS:,}")


def check_count(what: str, *values: int) -> None:
    """Raise UsageError unless each value is a count that a column holds."""
    if not all(0 <= value <= LARGEST for value in values):
        raise _refusal(what, "is out of range", "0 to 2**63 - 1")


def _check(what: str, value: str, shortest: int, longest: int) -> None:
    if not shortest <= len(value) <= longest:
        raise _refusal(what, f"has {len(value):,} characters", f"{shortest} to {longest:,}")
    if _UNSTORABLE.search(value):
        raise _refusal(what, "holds NUL or half of a surrogate pair", "characters that a database can hold")


def _refusal(what: str, problem: str, expected: str) -> UsageError:
    return UsageError(f"The {what} {problem}; expected {expected}.", code="bad_value")
