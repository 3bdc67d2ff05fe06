"""The log of predictions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, Select, select, tuple_

from tagdesk.case import Case
from tagdesk.prediction import Decision, Prediction
from tagdesk.store.answers import Answer, write_answer
from tagdesk.store.database import Database
from tagdesk.store.errors import Conflict
from tagdesk.store.limits import MOST_ROWS, check_id, check_ids, check_limit, clean_text
from tagdesk.store.selection import Selection
from tagdesk.store.tables import cases

Cursor: TypeAlias = tuple[datetime, str]  # time and id of the last case seen


class Cases:
    """The cases of a store, in the order of their times."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[Case], *, answer: Answer | None = None) -> None:
        """Log cases, and what was answered to the request that they come from; all or nothing.

        Logging a case twice is logging it once. NUL and halves of surrogate pairs are left out of the texts.

        Raises:
            Conflict: where an id stands for another case, or the request has been answered (`answers.claim` gives it).
        """
        rows = {case.id: _to_row(case) for case in new}
        if len(rows) < len(new):
            raise ValueError(f"{len(new)} cases with {len(rows)} ids.")
        if not rows and answer is None:
            return
        with self._database.write() as connection:
            number = None if answer is None else write_answer(self._database, connection, answer)
            if rows:
                self._insert(connection, rows, number)

    def get(self, ids: Sequence[str], *, tenant: str | None) -> list[Case | None]:
        """The cases of these ids, in their order; None for one that is not the tenant's. None stands for any tenant."""
        check_ids("case id", ids)
        with self._database.read() as connection:
            return find(connection, ids, tenant)

    def newest_of_ticket(self, ticket: str, *, source: str, tenant: str | None) -> Case | None:
        """The last case of a ticket of a help desk."""
        check_id("ticket or source", ticket, source)
        wanted = Selection(tenant, ticket=ticket).clause() & (cases.c.source == source)
        newest = select(cases).where(wanted).order_by(cases.c.time.desc(), cases.c.id.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(newest).one_or_none()
        return None if row is None else from_row(row)

    def page(
        self, which: Selection, *, after: Cursor | None = None, limit: int = 100, newest_first: bool = False
    ) -> list[Case]:
        """Up to `limit` (1 to 1,000) cases that follow `after`: the time and id of the last case of the page before."""
        check_limit(limit)
        with self._database.read() as connection:
            return [
                from_row(row) for row in connection.execute(page_of(which, after, limit, newest_first=newest_first))
            ]

    def each(self, which: Selection) -> Iterator[Case]:
        """All of them, oldest first; read in pages, so that nobody who writes must wait for the reader."""
        after: Cursor | None = None
        while page := self.page(which, after=after, limit=MOST_ROWS):
            yield from page
            after = page[-1].time, page[-1].id

    def _insert(self, connection: Connection, rows: Mapping[str, dict[str, Any]], answer: int | None) -> None:
        new = [{**row, "answer": answer} for row in rows.values()]
        if connection.execute(self._database.insert_new(cases), new).rowcount < len(rows):
            _compare(rows, find(connection, list(rows), None))


def find(connection: Connection, ids: Sequence[str], tenant: str | None) -> list[Case | None]:
    """What `Cases.get` gives, within a transaction."""
    found: dict[str, Case] = {}
    for start in range(0, len(ids), MOST_ROWS):
        some = cases.c.id.in_(ids[start : start + MOST_ROWS])
        for row in connection.execute(select(cases).where(some, Selection(tenant).clause())):
            found[row.id] = from_row(row)
    return [found.get(id_) for id_ in ids]


def lock(
    connection: Connection, ids: Sequence[str], tenant: str | None, condition: ColumnElement[bool] | None = None
) -> set[str]:
    """Those of the cases that are the tenant's and meet the condition; nobody else adds to them or erases them now."""
    clause = Selection(tenant).clause() if condition is None else Selection(tenant).clause() & condition
    found: set[str] = set()
    wanted = sorted(set(ids))  # in one order, so that no two wait for each other
    for start in range(0, len(wanted), MOST_ROWS):
        some = select(cases.c.id).where(cases.c.id.in_(wanted[start : start + MOST_ROWS]), clause)
        found.update(connection.scalars(some.order_by(cases.c.id).with_for_update(key_share=True)))
    return found


def from_row(row: Row[Any]) -> Case:
    """A case as its row in `cases` holds it."""
    said = Prediction(
        text=row.text or "",
        labels=tuple(row.labels),
        scores=row.scores,
        decisions={label: Decision[word.upper()] for label, word in row.decisions.items()},
        model=row.model,
        policy=row.policy,
        flags=tuple(row.flags),
        out_of_scope=row.out_of_scope,
    )
    return Case(row.id, row.tenant, row.time, said, row.ticket, row.source, row.unit, row.variant)


def page_of(which: Selection, after: Cursor | None, limit: int, *, newest_first: bool = False) -> Select[Any]:
    """The rows of `cases` that a page holds."""
    place = tuple_(cases.c.time, cases.c.id)
    query = select(cases).where(which.clause()).limit(limit)
    if after is not None:
        query = query.where(place < after if newest_first else place > after)
    if newest_first:
        return query.order_by(cases.c.time.desc(), cases.c.id.desc())
    return query.order_by(cases.c.time, cases.c.id)


def _to_row(case: Case) -> dict[str, Any]:
    said = case.prediction
    check_id("case id", case.id)
    check_id("tenant", case.tenant)
    check_id("ticket, source, unit or variant", case.ticket, case.source, case.unit, case.variant)
    return {
        "id": case.id,
        "tenant": case.tenant,
        "time": case.time,
        "ticket": case.ticket,
        "source": case.source,
        "unit": case.unit,
        "variant": case.variant,
        "text": clean_text(said.text),
        **said_row(said),
    }


def said_row(said: Prediction) -> dict[str, Any]:
    """A prediction, without its text, as the columns of a row."""
    check_id("model or policy", said.model, said.policy)
    check_ids("label or flag", (*said.labels, *said.scores, *said.decisions, *said.flags))
    return {
        "labels": list(said.labels),
        "scores": {label: _finite(score) for label, score in said.scores.items()},
        "decisions": {label: decision.word for label, decision in said.decisions.items()},
        "flags": list(said.flags),
        "out_of_scope": None if said.out_of_scope is None else _finite(said.out_of_scope),
        "model": said.model,
        "policy": said.policy,
    }


def _finite(score: float) -> float:
    if not math.isfinite(score):
        raise ValueError("A score is no finite number.")
    return float(score)


def _compare(rows: Mapping[str, dict[str, Any]], there: Sequence[Case | None]) -> None:
    """Raise Conflict unless what is there is what was to be logged."""
    if any(case is None or _to_row(case) != row for case, row in zip(there, rows.values(), strict=True)):
        raise Conflict("A case id stands for another case already. Give the case a new id.")
