"""The log of what a challenger would have said, and nobody was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from tagdesk.prediction import Decision, Prediction
from tagdesk.store.cases import lock, said_row
from tagdesk.store.database import Database
from tagdesk.store.limits import check_id, check_limit
from tagdesk.store.tables import shadows


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a variant would have said of a case; the text of `prediction` is that of the case, and not kept again."""

    case: str
    variant: str
    time: datetime
    prediction: Prediction


class Shadows:
    """The shadows of a store, in the order in which they came."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[Shadow]) -> int:
        """Keep those of cases that are there, each once; give how many are new."""
        for shadow in new:
            check_id("case id or variant", shadow.case, shadow.variant)
        with self._database.write() as connection:
            known = lock(connection, [shadow.case for shadow in new], None)
            rows = [
                {
                    "case_id": shadow.case,
                    "variant": shadow.variant,
                    "time": shadow.time,
                    **said_row(shadow.prediction),
                }
                for shadow in new
                if shadow.case in known
            ]
            if not rows:
                return 0
            insert = self._database.insert_new(shadows).returning(shadows.c.number)
            return len(connection.execute(insert, rows).all())

    def page(self, variant: str, *, after: int = 0, limit: int = 1000) -> list[tuple[int, Shadow]]:
        """At most `limit` (1 to 1,000) shadows of a variant whose number is above `after`, with their numbers."""
        check_id("variant", variant)
        check_limit(limit)
        query = select(shadows).where(shadows.c.variant == variant, shadows.c.number > after)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(shadows.c.number).limit(limit))
            return [(row.number, _from_row(row)) for row in rows]


def _from_row(row: Row[Any]) -> Shadow:
    said = Prediction(
        text="",
        labels=tuple(row.labels),
        scores=row.scores,
        decisions={label: Decision[word.upper()] for label, word in row.decisions.items()},
        model=row.model,
        policy=row.policy,
        flags=tuple(row.flags),
        out_of_scope=row.out_of_scope,
    )
    return Shadow(row.case_id, row.variant, row.time, said)
