"""The log of which cases people were asked to look at, and how probable it was that they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from tagdesk.store.cases import lock
from tagdesk.store.database import Database
from tagdesk.store.limits import MOST_ROWS, check_id, check_ids, check_note
from tagdesk.store.tables import picks


@dataclass(frozen=True, slots=True)
class Picked:
    """That a case was put before people: why, with which probability, and whether as a random check.

    >>> from datetime import UTC
    >>> Picked("7", datetime(2026, 5, 1, tzinfo=UTC), "random check", 0.2, is_audit=True).probability
    0.2
    """

    case: str
    time: datetime
    reason: str
    probability: float
    is_audit: bool


class Picks:
    """The picks of a store; the first of a case is the one that counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[Picked]) -> int:
        """Keep those of cases that are there and were not picked before; give how many these are."""
        for pick in new:
            check_id("case id", pick.case)
            check_note("reason", pick.reason)
            if not 0 < pick.probability <= 1:
                raise ValueError(f"Probability {pick.probability}: expected more than 0 and at most 1.")
        with self._database.write() as connection:
            known = lock(connection, [pick.case for pick in new], None)
            rows = [
                {
                    "case_id": pick.case,
                    "time": pick.time,
                    "reason": pick.reason,
                    "probability": pick.probability,
                    "is_audit": pick.is_audit,
                }
                for pick in new
                if pick.case in known
            ]
            if not rows:
                return 0
            insert = self._database.insert_new(picks).returning(picks.c.number)
            return len(connection.execute(insert, rows).all())

    def of_cases(self, ids: Sequence[str]) -> list[Picked | None]:
        """The pick of each of these cases, in their order; None for one that was never picked."""
        check_ids("case id", ids)
        found: dict[str, Picked] = {}
        with self._database.read() as connection:
            for start in range(0, len(ids), MOST_ROWS):
                some = picks.c.case_id.in_(ids[start : start + MOST_ROWS])
                for row in connection.execute(select(picks).where(some)):
                    found[row.case_id] = Picked(
                        row.case_id, row.time, row.reason, row.probability, is_audit=row.is_audit
                    )
        return [found.get(id_) for id_ in ids]
