"""The log of what came of answers besides reviews."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sqlalchemy import Connection, select

from tagdesk.outcome import Outcome
from tagdesk.store.cases import lock
from tagdesk.store.database import Database
from tagdesk.store.limits import MOST_ROWS, check_id, check_ids
from tagdesk.store.reviews import Receipt
from tagdesk.store.tables import outcomes


class Outcomes:
    """The outcomes of a store, in the order in which they came."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[Outcome], *, tenant: str) -> list[Receipt]:
        """Keep outcomes and say what became of each; what is answered here is on the disk."""
        for outcome in new:
            check_id("case id", outcome.case)
            check_id("outcome's name", outcome.name)
            check_id("idempotency key", outcome.key)
            if not math.isfinite(outcome.value):
                raise ValueError("An outcome's value is no finite number.")
        with self._database.write() as connection:
            known = lock(connection, [outcome.case for outcome in new], tenant)
            return [
                self._add(connection, outcome, tenant) if outcome.case in known else Receipt.UNKNOWN_CASE
                for outcome in new
            ]

    def of_cases(self, ids: Sequence[str], *, tenant: str | None) -> list[dict[str, float]]:
        """The last outcome of each name of each of these cases, in their order."""
        check_ids("case id", ids)
        found: dict[str, dict[str, float]] = {id_: {} for id_ in ids}
        with self._database.read() as connection:
            for start in range(0, len(ids), MOST_ROWS):
                some = outcomes.c.case_id.in_(ids[start : start + MOST_ROWS])
                query = select(outcomes).where(some).order_by(outcomes.c.number)
                for row in connection.execute(query if tenant is None else query.where(outcomes.c.tenant == tenant)):
                    found[row.case_id][row.name] = row.value
        return [found[id_] for id_ in ids]

    def _add(self, connection: Connection, outcome: Outcome, tenant: str) -> Receipt:
        row = {
            "tenant": tenant,
            "case_id": outcome.case,
            "name": outcome.name,
            "value": outcome.value,
            "time": outcome.time,
            "key": outcome.key,
        }
        insert = self._database.insert_new(outcomes).values(row).returning(outcomes.c.number)
        if connection.execute(insert).first() is not None:
            return Receipt.ADDED
        same = select(outcomes).where(outcomes.c.tenant == tenant, outcomes.c.key == outcome.key)
        before = connection.execute(same).one()
        is_same = (before.case_id, before.name, before.value) == (outcome.case, outcome.name, outcome.value)
        return Receipt.REPEATED if is_same else Receipt.KEY_REUSED
