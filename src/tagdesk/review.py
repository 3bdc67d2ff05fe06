"""A review: the labels that somebody found right for a case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Source(StrEnum):
    """Where a review came in."""

    PERSON = "person"
    HELP_DESK = "help_desk"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class Review:
    """What a reviewer found; feedback and annotation are the same fact.

    `labels` is empty where no label applies. `key` is the sender's own name for the review: sent again under it, it is
    the same review. A review that `settles` a contradiction makes those before it count no longer.

    >>> from datetime import UTC
    >>> Review("7", frozenset({"A"}), "ada", datetime(2026, 5, 1, tzinfo=UTC)).source.value
    'person'
    """

    case: str
    labels: frozenset[str]
    reviewer: str
    time: datetime
    source: Source = Source.PERSON
    key: str | None = None
    note: str = ""
    settles: bool = False

    def says_the_same_as(self, other: Review) -> bool:
        """Whether the two differ at most in time and key."""
        return _content(self) == _content(other)

    def to_dict(self) -> dict[str, Any]:
        """The review as JSON holds it."""
        return {
            "case": self.case,
            "labels": sorted(self.labels),
            "reviewer": self.reviewer,
            "time": self.time.isoformat(),
            "source": self.source.value,
            "key": self.key,
            "note": self.note,
            "settles": self.settles,
        }


def standing(reviews: Sequence[Review]) -> tuple[Review, ...]:
    """The reviews of one case that count: each reviewer's last, from the last that settles on.

    Args:
        reviews: of one case, oldest first.
    """
    settled = max((n for n, review in enumerate(reviews) if review.settles), default=0)
    last = {review.reviewer: n for n, review in enumerate(reviews) if n >= settled}
    return tuple(reviews[n] for n in sorted(last.values()))


def agreed(reviews: Sequence[Review]) -> frozenset[str] | None:
    """The labels that the reviewers of one case agree on; None where there is no review, or they contradict.

    >>> from datetime import UTC
    >>> may = datetime(2026, 5, 1, tzinfo=UTC)
    >>> ada, bob = (Review("7", frozenset({label}), name, may) for label, name in ("Aa", "Bb"))
    >>> agreed([ada]), agreed([ada, bob])
    (frozenset({'A'}), None)

    Args:
        reviews: of one case, oldest first.
    """
    found = {review.labels for review in standing(reviews)}
    return found.pop() if len(found) == 1 else None


def is_contradictory(reviews: Sequence[Review]) -> bool:
    """Whether the reviewers of one case, oldest review first, found different labels and nobody has settled it."""
    return len({review.labels for review in standing(reviews)}) > 1


def _content(review: Review) -> tuple[object, ...]:
    return review.case, review.labels, review.reviewer, review.source, review.note, review.settles
