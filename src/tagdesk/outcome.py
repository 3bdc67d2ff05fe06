"""An outcome: what came of an answer besides a review, as a number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case, such as minutes until it was resolved, or 1 where it was opened again.

    `key` is the sender's own name for it: sent again under it, it is the same outcome. Of several of one name the last
    counts.

    >>> from datetime import UTC
    >>> Outcome("7", "minutes_to_resolution", 12.5, datetime(2026, 5, 1, tzinfo=UTC)).to_dict()["value"]
    12.5
    """

    case: str
    name: str
    value: float
    time: datetime
    key: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The outcome as JSON holds it."""
        return {
            "case": self.case,
            "name": self.name,
            "value": self.value,
            "time": self.time.isoformat(),
            "key": self.key,
        }
