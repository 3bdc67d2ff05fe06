"""Says how far the reviewers of a store agree, and how many cases wait to be settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagdesk.arrays import BoolArray
from tagdesk.rank import Judgements, Pair, agreement_by_label, judgements, reviewer_pairs
from tagdesk.review import Review
from tagdesk.store import Selection, Store


@dataclass(frozen=True, slots=True)
class LabelAccord:
    """How far two reviewers agree on one label.

    Attributes:
        label: its name.
        both: cases to which both gave it.
        first, second: cases to which only that one gave it.
        alpha: Krippendorff's; None where chance would agree as well.
    """

    label: str
    both: int
    first: int
    second: int
    alpha: float | None


@dataclass(frozen=True, slots=True)
class Accord:
    """How far reviewers agree.

    Attributes:
        twice: cases that several have reviewed.
        unsettled: cases on which they contradict each other, and nobody has settled it.
        pairs: reviewers who looked at the same cases, those who agree least first.
        labels: of each pair, the labels that either gave, those that they agree on least first.
    """

    twice: int
    unsettled: int
    pairs: tuple[Pair, ...]
    labels: tuple[tuple[LabelAccord, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON holds it; null stands for an alpha that is not defined."""
        return {
            "reviewed_by_several": self.twice,
            "to_be_settled": self.unsettled,
            "pairs": [
                {
                    "reviewers": [pair.first, pair.second],
                    "cases": pair.cases,
                    "same_labels": round(pair.same, 4),
                    "alpha": _rounded(pair.alpha),
                    "labels": {
                        one.label: {
                            "both": one.both,
                            "only": {pair.first: one.first, pair.second: one.second},
                            "alpha": _rounded(one.alpha),
                        }
                        for one in labels
                    },
                }
                for pair, labels in zip(self.pairs, self.labels, strict=True)
            ],
        }


def accord(store: Store, *, tenant: str | None = None) -> Accord:
    """How far the reviewers of a tenant's cases, or of all, agree.

    Of each reviewer counts what they last found by themselves; who settles a case has seen the others' answers.
    """
    several: list[tuple[Review, ...]] = []
    unsettled = 0
    for one in store.reviews.reviewed(Selection(tenant)):
        unsettled += one.is_contradictory
        if len({review.reviewer for review in one.reviews}) > 1:
            several.append(one.reviews)
    names = sorted({label for reviews in several for review in reviews for label in review.labels})
    found = judgements(several, names)
    together = reviewer_pairs(found if names else judgements(several, [""]))
    rows = {name: row for row, name in enumerate(found.reviewers)}
    labels = tuple(tuple(_labels(found, rows, pair, names)) for pair in together)
    return Accord(len(several), unsettled, tuple(together), labels)


def _labels(found: Judgements, rows: Mapping[str, int], pair: Pair, names: Sequence[str]) -> list[LabelAccord]:
    chosen = [rows[pair.first], rows[pair.second]]
    shared = found.judged[chosen].all(axis=0)
    first, second = (found.given[row][shared] for row in chosen)  # (cases, labels) each
    two = Judgements((pair.first, pair.second), found.given[chosen][:, shared], found.judged[chosen][:, shared])
    alphas = agreement_by_label(two, names)
    either = first | second
    counted = zip(names, _counts(first & second), _counts(first & ~second), _counts(second & ~first), strict=True)
    result = [
        LabelAccord(name, both, only_first, only_second, alphas[name])
        for name, both, only_first, only_second in counted
    ]
    given = dict(zip(names, either.any(axis=0).tolist(), strict=True))
    return sorted((one for one in result if given[one.label]), key=_by_alpha)


def _counts(cells: BoolArray) -> list[int]:
    counted: list[int] = cells.sum(axis=0).tolist()
    return counted


def _by_alpha(one: LabelAccord) -> tuple[float, str]:
    return (2.0 if one.alpha is None else one.alpha, one.label)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
