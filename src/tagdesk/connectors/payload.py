"""Reads fields of a help desk's JSON without trusting that any is what it should be."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from tagdesk.connectors.access import is_ticket_number
from tagdesk.connectors.base import BadPayload, Delivery

_LONGEST_NAME: Final = 200  # characters of a user's id or address
_IDS_END: Final = 10**19
_LATEST: Final = 2**33  # seconds; the year 2242


def document(delivery: Delivery) -> dict[str, Any]:
    """The JSON object of a delivery; raises BadPayload where it holds something else."""
    try:
        found = json.loads(delivery.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadPayload(f"The body is no JSON object; expected what {delivery.source} sends.", code="not_json")
    return found


def at(value: Any, *keys: str) -> Any:
    """What stands under a path of keys, None where it leads nowhere.

    >>> at({"ticket": {"id": 7}}, "ticket", "id"), at({"ticket": []}, "ticket", "id")
    (7, None)
    """
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text(value: Any) -> str:
    """A text, "" for anything else."""
    return value if isinstance(value, str) else ""


def ticket(value: Any, source: str) -> str:
    """The number of a ticket; raises BadPayload where there is none."""
    number = str(value) if _is_id(value) else text(value)
    if not is_ticket_number(number):
        raise BadPayload(f"The body names no ticket; expected what {source} sends.", code="no_ticket")
    return number


def name(value: Any) -> str | None:
    """The id or address of a user, None where there is none.

    >>> name(8447), name("ada@example.com"), name(None), name("")
    ('8447', 'ada@example.com', None, None)
    """
    if _is_id(value):
        return str(value)
    word = text(value).strip()
    return word if 0 < len(word) <= _LONGEST_NAME and word.isprintable() else None


def tags(value: Any) -> tuple[str, ...] | None:
    """Tags from a list, or from a line that parts them by commas; None where there is neither.

    >>> tags(["a", "b"]), tags("a, b c"), tags(""), tags(7)
    (('a', 'b'), ('a', 'b c'), (), None)
    """
    if isinstance(value, str):
        return tuple(tag for tag in map(str.strip, value.split(",")) if tag)
    if isinstance(value, list):
        return tuple(tag for tag in value if isinstance(tag, str))
    return None


def moment(value: Any) -> datetime | None:
    """A moment from ISO 8601 or from seconds since 1970, None where it is neither; without a zone it is UTC.

    >>> moment("2026-05-01T12:00:00+02:00"), moment(True)
    (datetime.datetime(2026, 5, 1, 10, 0, tzinfo=datetime.timezone.utc), None)
    """
    try:
        if isinstance(value, str) and len(value) <= _LONGEST_NAME:
            found = datetime.fromisoformat(value)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST:
        return datetime.fromtimestamp(value, UTC)
    return None


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _IDS_END
