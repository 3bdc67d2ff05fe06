"""Deletes what a customer may ask to be forgotten, and what nobody needs any longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, CursorResult, Row, delete, insert, or_, select, update

from tagdesk.errors import UsageError
from tagdesk.store.database import Database
from tagdesk.store.limits import check_id
from tagdesk.store.selection import Selection
from tagdesk.store.tables import answers, cases, erasures, outcomes, picks, reviews, shadows


class Reach(StrEnum):
    """What an erasure was about."""

    CUSTOMER = "customer"
    TICKET = "ticket"
    CASE = "case"
    RETENTION = "retention"


@dataclass(frozen=True, slots=True)
class Erasure:
    """That something was deleted, how much, when and on whose word; never what it said or of whom."""

    number: int
    kind: Reach
    who: str
    time: datetime
    cases: int
    reviews: int
    answers: int

    def to_dict(self) -> dict[str, Any]:
        """The erasure as JSON holds it."""
        return {
            "number": self.number,
            "kind": self.kind.value,
            "who": self.who,
            "time": self.time.isoformat(),
            "cases": self.cases,
            "reviews": self.reviews,
            "answers": self.answers,
        }


def erase(database: Database, which: Selection, *, who: str, now: datetime) -> Erasure:
    """Delete the cases of one customer, ticket or id, with their reviews and the answers that tell of them.

    Raises:
        UsageError: where the selection names neither a unit, a ticket nor a case, or more than one of them.
        StoreBusy: after the deletion, where the database could not be compacted; the same call again makes up for it.
    """
    named = {Reach.CUSTOMER: which.unit, Reach.TICKET: which.ticket, Reach.CASE: which.case}
    kinds = [kind for kind, value in named.items() if value is not None]
    if len(kinds) != 1:
        raise UsageError("What to erase is not clear; expected one of a unit, a ticket or a case.", code="bad_erasure")
    check_id("name of who asks", who)
    with database.write() as connection:
        counted = _delete(connection, which.clause())
        erasure = _record(connection, kinds[0], who, now, counted)
    database.compact()
    return erasure


def retain(database: Database, days: int, *, who: str, now: datetime) -> Erasure | None:
    """Forget what was written more than `days` ago: texts, tickets, customers, remarks and answers; None if none was.

    Labels, scores and reviews stay for the figures; without a text they are no longer learned from.
    """
    if not 0 <= days <= 36_500:
        raise UsageError("The number of days is out of range; expected 0 to 36,500.", code="bad_value")
    check_id("name of who asks", who)
    before = now - timedelta(days=days)
    with database.write() as connection:
        counted = _forget(connection, before)
        if not any(counted):
            return None
        erasure = _record(connection, Reach.RETENTION, who, now, counted)
    database.compact()
    return erasure


def erasures_of(database: Database) -> list[Erasure]:
    """All erasures, oldest first."""
    with database.read() as connection:
        return [_from_row(row) for row in connection.execute(select(erasures).order_by(erasures.c.number))]


def _delete(connection: Connection, wanted: ColumnElement[bool]) -> tuple[int, int, int]:
    ids = select(cases.c.id).where(wanted)
    of_answers = _rows(connection, delete(answers).where(answers.c.number.in_(select(cases.c.answer).where(wanted))))
    of_reviews = _rows(connection, delete(reviews).where(reviews.c.case_id.in_(ids)))
    for derived in (outcomes, shadows, picks):
        connection.execute(delete(derived).where(derived.c.case_id.in_(ids)))
    return _rows(connection, delete(cases).where(wanted)), of_reviews, of_answers


def _forget(connection: Connection, before: datetime) -> tuple[int, int, int]:
    old = cases.c.time < before
    of_old = answers.c.number.in_(select(cases.c.answer).where(old, cases.c.answer.is_not(None)))
    of_answers = _rows(connection, delete(answers).where(or_(answers.c.time < before, of_old)))
    remarks = update(reviews).where(reviews.c.case_id.in_(select(cases.c.id).where(old)), reviews.c.note != "")
    of_reviews = _rows(connection, remarks.values(note=""))
    told = or_(cases.c.text.is_not(None), cases.c.unit.is_not(None), cases.c.ticket.is_not(None))
    nothing = {"text": None, "unit": None, "ticket": None}
    return _rows(connection, update(cases).where(old, told).values(nothing)), of_reviews, of_answers


def _rows(connection: Connection, statement: Any) -> int:
    result: CursorResult[Any] = connection.execute(statement)
    return result.rowcount


def _record(connection: Connection, kind: Reach, who: str, now: datetime, counted: tuple[int, int, int]) -> Erasure:
    of_cases, of_reviews, of_answers = counted
    sizes = {"cases": of_cases, "reviews": of_reviews, "answers": of_answers}
    row = {"kind": kind.value, "who": who, "time": now, **sizes}
    return _from_row(connection.execute(insert(erasures).values(row).returning(erasures)).one())


def _from_row(row: Row[Any]) -> Erasure:
    values = row._asdict()
    return Erasure(**values | {"kind": Reach(values["kind"])})
