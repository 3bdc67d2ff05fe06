"""Finds where reviewers contradict each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tagdesk.agreement import MISSING, alpha, same_sets
from tagdesk.arrays import BoolArray, IntArray
from tagdesk.review import Review, agreed, is_contradictory, standing


@dataclass(frozen=True, slots=True)
class Dispute:
    """A case whose reviewers found different labels.

    Attributes:
        case: its id.
        found: the labels by reviewer, in the order of their reviews.
        at_odds: the labels that some gave and others did not, sorted.
        divided: share of the reviewers who found other labels than the largest group of them did.
    """

    case: str
    found: Mapping[str, frozenset[str]]
    at_odds: tuple[str, ...]
    divided: float


@dataclass(frozen=True, slots=True)
class Pair:
    """How far two reviewers agree on the cases that both looked at.

    Attributes:
        first, second: their names, sorted.
        cases: that both looked at.
        same: share of them to which both gave exactly the same labels.
        alpha: Krippendorff's, over all labels; None where chance would agree as well.
    """

    first: str
    second: str
    cases: int
    same: float
    alpha: float | None


@dataclass(frozen=True, slots=True)
class Judgements:
    """What reviewers found by themselves, before anybody settled it.

    Attributes:
        reviewers: sorted.
        given: (reviewers, cases, labels).
        judged: (reviewers, cases), whether the reviewer looked at the case.
    """

    reviewers: tuple[str, ...]
    given: BoolArray
    judged: BoolArray


def disputes(cases: Sequence[Sequence[Review]]) -> list[Dispute]:
    """The cases whose reviewers contradict each other, those first that are most worth settling.

    First come those with the most evenly divided reviewers, then those with the most labels at odds; ties keep their
    order. Cases that somebody settled are left out.

    Args:
        cases: the reviews of each case, oldest first.
    """
    found = [_dispute(reviews) for reviews in cases if is_contradictory(reviews)]
    return sorted(found, key=lambda dispute: (-dispute.divided, -len(dispute.at_odds)))


def agreed_share(cases: Sequence[Sequence[Review]]) -> float | None:
    """Share of the cases that several reviewed on which they now agree; None where nobody looked twice."""
    several = [reviews for reviews in cases if len({review.reviewer for review in reviews}) > 1]
    return sum(agreed(reviews) is not None for reviews in several) / len(several) if several else None


def judgements(cases: Sequence[Sequence[Review]], names: Sequence[str]) -> Judgements:
    """What each reviewer last found for each case; who settles a case has seen the others' answers and is left out.

    Args:
        cases: the reviews of each case, oldest first.
        names: the labels in order; others that a review gives are not looked at.
    """
    alone = [[review for review in reviews if not review.settles] for reviews in cases]
    reviewers = tuple(sorted({review.reviewer for reviews in alone for review in reviews}))
    row, column = ({name: place for place, name in enumerate(each)} for each in (reviewers, names))
    given = np.zeros((len(reviewers), len(cases), len(names)), dtype=np.bool_)
    judged = np.zeros((len(reviewers), len(cases)), dtype=np.bool_)
    for case, reviews in enumerate(alone):
        for review in reviews:
            given[row[review.reviewer], case] = False
            given[row[review.reviewer], case, [column[name] for name in review.labels if name in column]] = True
            judged[row[review.reviewer], case] = True
    return Judgements(reviewers, given, judged)


def agreement_by_label(found: Judgements, names: Sequence[str]) -> dict[str, float | None]:
    """Krippendorff's alpha of each label over all reviewers; None where chance would agree as well.

    >>> one = np.array([[[True], [False]], [[True], [False]]])
    >>> agreement_by_label(Judgements(("ada", "bob"), one, np.ones((2, 2), dtype=np.bool_)), ["A"])
    {'A': 1.0}
    """
    codes: IntArray = np.where(found.judged[:, :, np.newaxis], found.given, MISSING).astype(np.int64)
    return {name: _alpha(codes[:, :, label]) for label, name in enumerate(names)}


def reviewer_pairs(found: Judgements) -> list[Pair]:
    """Every two reviewers who looked at the same cases, those who agree least first."""
    result = []
    for first, second in combinations(range(len(found.reviewers)), 2):
        shared = found.judged[first] & found.judged[second]
        if shared.any():
            left, right = found.given[first][shared], found.given[second][shared]
            codes: IntArray = np.stack([left.ravel(), right.ravel()]).astype(np.int64)
            names = found.reviewers[first], found.reviewers[second]
            result.append(Pair(*names, int(shared.sum()), same_sets(left, right), _alpha(codes)))
    return sorted(result, key=lambda pair: (pair.same, -pair.cases))


def _dispute(reviews: Sequence[Review]) -> Dispute:
    found = {review.reviewer: review.labels for review in standing(reviews)}
    sets = Counter(found.values())
    at_odds = frozenset.union(*sets) - frozenset.intersection(*sets)
    largest = max(sets.values())
    return Dispute(reviews[0].case, found, tuple(sorted(at_odds)), 1 - largest / len(found))


def _alpha(codes: IntArray) -> float | None:
    value = alpha(codes)
    return None if np.isnan(value) else value
