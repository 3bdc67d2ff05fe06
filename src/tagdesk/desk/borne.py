"""Which labels a ticket of a help desk is known to bear, from what the store knows alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tagdesk.case import Case
from tagdesk.connectors.sites import Site
from tagdesk.review import Review, Source
from tagdesk.store import Answer, Conflict, Request, Selection, Store

LONGEST_WRITE = timedelta(minutes=15)  # a write-back that was begun is taken for dead after that
MOST_OF_TICKET = 100  # newest cases of a ticket that are looked at


@dataclass(frozen=True, slots=True)
class Borne:
    """The labels that a ticket bears: all of `least`, and of `most` those that a write-back is adding, or will.

    >>> Borne(frozenset(), frozenset({"A"})).may_be(frozenset({"A"}))
    True
    """

    least: frozenset[str]
    most: frozenset[str]

    def may_be(self, labels: frozenset[str]) -> bool:
        """Whether these labels are no news."""
        return self.least <= labels <= self.most


class Writings:
    """What was written back to one help desk: who does it claims it, so that of several processes one does.

    Args:
        store: where it stands.
        site: the help desk.
        now: the time, in UTC.
    """

    def __init__(self, store: Store, site: Site, now: Callable[[], datetime]) -> None:
        self._store = store
        self._site = site
        self._now = now

    def claim(self, case: Case) -> bool:
        """Take the write-back of a case on; False where it is done. Raises Conflict while another is at it."""
        return self._claimed(case) is None

    def keep(self, case: Case, labels: frozenset[str]) -> None:
        """Remember that the write-back of a case is done, and of which labels it wrote tags."""
        self._store.answers.keep(Answer(self._request(case), {"labels": sorted(labels)}, self._now()))

    def release(self, case: Case) -> None:
        """Let somebody else do what came to nothing."""
        self._store.answers.release(self._request(case))

    def cases(self, ticket: str) -> list[tuple[Case, Review | None]]:
        """The cases of a ticket, newest first, each with its last correction by an agent."""
        which = Selection(self._site.tenant, ticket=ticket)
        page = self._store.cases.page(which, limit=MOST_OF_TICKET, newest_first=True)
        cases = [case for case in page if case.source == self._site.name]
        reviews = self._store.reviews.of_cases([case.id for case in cases], tenant=self._site.tenant)
        corrections = [[one for one in found if one.source is Source.HELP_DESK] for found in reviews]
        return [(case, found[-1] if found else None) for case, found in zip(cases, corrections, strict=True)]

    def is_corrected(self, case: Case) -> bool:
        """Whether an agent has corrected the case, or a later one of its ticket."""
        for other, correction in self.cases(case.ticket or ""):
            if correction is not None:
                return True
            if other.id == case.id:
                return False
        return False

    def borne(self, ticket: str, known: frozenset[str]) -> Borne:
        """The labels that a ticket bears, of the `known` ones: its last correction, and what was written since."""
        least, most = frozenset[str](), frozenset[str]()
        for case, correction in self.cases(ticket):
            if correction is not None:
                least |= correction.labels
                break
            labels = to_tag(case, self._site)
            written = self._written(case) if labels else labels
            least |= written or frozenset()
            most |= labels if written is None else written
        return Borne(least & known, (least | most) & known)

    def _written(self, case: Case) -> frozenset[str] | None:
        """The labels of which tags were written for a case; None while that is not done."""
        try:
            told = self._claimed(case)
        except Conflict:
            return None
        if told is None:
            self.release(case)
        return told

    def _claimed(self, case: Case) -> frozenset[str] | None:
        told = self._store.answers.claim(self._request(case), now=self._now(), patience=LONGEST_WRITE)
        return None if told is None else frozenset(told["labels"])

    def _request(self, case: Case) -> Request:
        return Request(f"write-back {self._site.name}", case.id, "write-back")


def to_tag(case: Case, site: Site) -> frozenset[str]:
    """The labels of a case of which tags are to be written."""
    decisions = case.prediction.decisions
    return frozenset(label for label in case.prediction.labels if decisions[label] >= site.tag_from)
