"""The log of what people found right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, exists, func, select, true

from tagdesk.case import Case
from tagdesk.review import Review, Source, agreed, is_contradictory
from tagdesk.store.cases import Cursor, from_row, lock, page_of
from tagdesk.store.database import Database
from tagdesk.store.failpoints import reach
from tagdesk.store.limits import MOST_ROWS, check_id, check_ids, check_limit, check_note
from tagdesk.store.selection import Selection
from tagdesk.store.tables import cases, reviews
from tagdesk.ticket import Ticket


class Receipt(StrEnum):
    """What became of a review that was handed in."""

    ADDED = "added"
    REPEATED = "repeated"  # it was there already
    UNKNOWN_CASE = "unknown_case"  # there is none of that id for this tenant
    KEY_REUSED = "key_reused"  # its key stands for another review


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A case with its reviews, oldest first."""

    case: Case
    reviews: tuple[Review, ...]

    @property
    def labels(self) -> frozenset[str] | None:
        """The labels that the reviewers agree on; None where they contradict each other."""
        return agreed(self.reviews)

    @property
    def is_contradictory(self) -> bool:
        """Whether reviewers found different labels, and nobody has settled it."""
        return is_contradictory(self.reviews)


class Reviews:
    """The reviews of a store, in the order in which they came."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[Review], *, tenant: str) -> list[Receipt]:
        """Keep reviews and say what became of each; what is answered here is on the disk.

        A review with a key is the same as one before with that key. One without a key is a repetition where its
        reviewer's last on this case says the same.
        """
        for review in new:
            _check(review)
        with self._database.write() as connection:
            # Once its text is forgotten, nobody can judge any more what is right for a case.
            known = lock(connection, [review.case for review in new], tenant, cases.c.text.is_not(None))
            outcomes = [
                self._add(connection, review, tenant) if review.case in known else Receipt.UNKNOWN_CASE
                for review in new
            ]
            reach("review_before_commit")
        reach("review_after_commit")
        return outcomes

    def of_cases(self, ids: Sequence[str], *, tenant: str | None) -> list[tuple[Review, ...]]:
        """The reviews of each of these cases, oldest first; none for a case that is not the tenant's."""
        check_ids("case id", ids)
        with self._database.read() as connection:
            return _of_cases(connection, ids, tenant)

    def newest(self, ids: Sequence[str], *, tenant: str | None) -> list[Review | None]:
        """The last review of each of these cases; None where there is none, or the case is not the tenant's."""
        return [found[-1] if found else None for found in self.of_cases(ids, tenant=tenant)]

    def every(self, which: Selection) -> Iterator[Reviewed]:
        """All cases, with their reviews where there are any, oldest case first; read in pages as `reviewed`."""
        yield from self._pages(which, true())

    def reviewed(self, which: Selection) -> Iterator[Reviewed]:
        """All cases that have a review, oldest case first; read in pages, so that no writer must wait."""
        yield from self._pages(which, exists().where(reviews.c.case_id == cases.c.id))

    def contradictory(self, which: Selection) -> Iterator[Reviewed]:
        """The cases whose reviewers found different labels, and nobody has settled it."""
        several = (
            select(reviews.c.case_id)
            .group_by(reviews.c.case_id)
            .having(func.count(reviews.c.labels.distinct()) > 1, func.count(reviews.c.reviewer.distinct()) > 1)
        )
        yield from (found for found in self._pages(which, cases.c.id.in_(several)) if found.is_contradictory)

    def training_tickets(self, which: Selection) -> Iterator[Ticket]:
        """The cases whose text is still kept and whose reviewers agree, as tickets to learn from."""
        for found in self.reviewed(which):
            if found.labels is not None and found.case.has_text:
                case = found.case
                yield Ticket(case.id, case.prediction.text, found.labels, case.unit, case.time.isoformat())

    def page(self, *, tenant: str | None, after: int = 0, limit: int = 100) -> list[tuple[int, Review]]:
        """At most `limit` (1 to 1,000) reviews whose number is above `after`, with their numbers."""
        check_limit(limit)
        query = select(reviews).where(reviews.c.number > after).order_by(reviews.c.number).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query if tenant is None else query.where(reviews.c.tenant == tenant))
            return [(row.number, _from_row(row)) for row in rows]

    def _add(self, connection: Connection, review: Review, tenant: str) -> Receipt:
        before = _before(connection, review, tenant)
        if before is None:
            insert = self._database.insert_new(reviews).values(_to_row(review, tenant)).returning(reviews.c.number)
            if connection.execute(insert).first() is not None:
                return Receipt.ADDED
            before = _before(connection, review, tenant)  # somebody was quicker with the same key
        return Receipt.REPEATED if before and before.says_the_same_as(review) else Receipt.KEY_REUSED

    def _pages(self, which: Selection, condition: Any) -> Iterator[Reviewed]:
        after: Cursor | None = None
        while page := self._page(which, condition, after):
            yield from page
            after = page[-1].case.time, page[-1].case.id

    def _page(self, which: Selection, condition: Any, after: Cursor | None) -> list[Reviewed]:
        query = page_of(which, after, MOST_ROWS).where(condition)
        with self._database.read() as connection:
            found = [from_row(row) for row in connection.execute(query)]
            reviews_of = _of_cases(connection, [case.id for case in found], None)
        return [Reviewed(case, reviews) for case, reviews in zip(found, reviews_of, strict=True)]


def _before(connection: Connection, review: Review, tenant: str) -> Review | None:
    """The review that `review` may repeat."""
    if review.key is not None:
        same = select(reviews).where(reviews.c.tenant == tenant, reviews.c.key == review.key)
        row = connection.execute(same).one_or_none()
        return None if row is None else _from_row(row)
    query = select(reviews).where(reviews.c.case_id == review.case, reviews.c.reviewer == review.reviewer)
    row = connection.execute(query.order_by(reviews.c.number.desc()).limit(1)).one_or_none()
    last = None if row is None else _from_row(row)
    return last if last and last.says_the_same_as(review) else None


def _of_cases(connection: Connection, ids: Sequence[str], tenant: str | None) -> list[tuple[Review, ...]]:
    found: dict[str, list[Review]] = {id_: [] for id_ in ids}
    for start in range(0, len(ids), MOST_ROWS):
        query = select(reviews).where(reviews.c.case_id.in_(ids[start : start + MOST_ROWS])).order_by(reviews.c.number)
        for row in connection.execute(query if tenant is None else query.where(reviews.c.tenant == tenant)):
            found[row.case_id].append(_from_row(row))
    return [tuple(found[id_]) for id_ in ids]


def _check(review: Review) -> None:
    check_id("case id", review.case)
    check_id("reviewer", review.reviewer)
    check_id("idempotency key", review.key)
    check_ids("label", review.labels)
    check_note("note", review.note)


def _to_row(review: Review, tenant: str) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "case_id": review.case,
        "labels": sorted(review.labels),
        "reviewer": review.reviewer,
        "time": review.time,
        "source": review.source.value,
        "key": review.key,
        "note": review.note,
        "settles": review.settles,
    }


def _from_row(row: Row[Any]) -> Review:
    return Review(
        case=row.case_id,
        labels=frozenset(row.labels),
        reviewer=row.reviewer,
        time=row.time,
        source=Source(row.source),
        key=row.key,
        note=row.note,
        settles=row.settles,
    )
