"""What state a store is in: the version of its tables, and whether they are sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tagdesk.store.database import Database
from tagdesk.store.migrate import HEAD, VERSIONS


@dataclass(frozen=True, slots=True)
class Inspection:
    """The version of a store's tables, the one that this tagdesk expects, and what is wrong, a sentence each.

    >>> Inspection("0001", "0002", ()).state
    'older'
    """

    version: str
    expected: str
    problems: tuple[str, ...]

    @property
    def state(self) -> str:
        """`current`; `older`, which the next that opens the store mends; or `newer`, which this tagdesk refuses."""
        if self.version == self.expected:
            return "current"
        return "older" if self.version in VERSIONS else "newer"

    @property
    def is_sound(self) -> bool:
        """Whether this tagdesk can work with it."""
        return self.state != "newer" and not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The inspection as JSON holds it."""
        return {
            "version": self.version,
            "expected": self.expected,
            "state": self.state,
            "is_sound": self.is_sound,
            "problems": list(self.problems),
        }


def inspect(database: Database) -> Inspection:
    """Look at a store that is there, and change nothing."""
    return Inspection(database.version() or "", HEAD, tuple(database.check()))
