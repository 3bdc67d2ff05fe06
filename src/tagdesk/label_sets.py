"""Corrects probabilities by which labels people give together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagdesk.arrays import FloatArray, Probs, Targets

MOST = 1000  # sets that are kept, the most frequent ones; the rest counts as novel
LEAST, MOST_CERTAIN = 1e-4, 1 - 1e-4  # one sure label must not rule a whole set out


@dataclass(frozen=True, eq=False)
class LabelSets:
    """The label sets that people have given, and how often a ticket carries another one.

    Labels are scored one by one, as if "Refund Request" said nothing of "Billing Issue". Here the sets of labels share
    out the probability instead: of all sets only those that people have given, and the empty one, are possible, and a
    label is as probable as the sets that hold it. With probability `novelty` the ticket carries a set never seen, for
    which the labels' own probabilities stand. That share is estimated by the sets that were seen once (Good, 1953).

    Attributes:
        sets: (sets, labels), each row another set; the empty one is always among them.
        novelty: 0..1.

    >>> learned = LabelSets.fit(np.array([[True, False], [True, False], [False, True], [False, True]]))
    >>> learned.apply(np.array([[0.8, 0.6]], dtype=np.float32)).round(2).tolist()
    [[0.6200000047683716, 0.23000000417232513]]
    """

    sets: Targets
    novelty: float

    def __post_init__(self) -> None:
        if self.sets.ndim != 2 or not len(self.sets) or not 0 <= self.novelty <= 1:
            raise ValueError(f"Sets {self.sets.shape} with novelty {self.novelty}; expected rows of labels, and 0..1.")

    @classmethod
    def fit(cls, targets: Targets) -> LabelSets:
        """Learn from the labels of tickets, (tickets, labels)."""
        sets, counts = np.unique(targets, axis=0, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        kept = order[:MOST]
        novel = counts[order[MOST:]].sum() + (counts[kept] == 1).sum()
        given = sets[kept]
        if given.any(axis=1).all():
            given = np.vstack([given, np.zeros((1, targets.shape[1]), dtype=np.bool_)])
        return cls(given, float(novel / max(len(targets), 1)))

    def apply(self, probs: Probs) -> Probs:
        """Probabilities of labels that know of each other, of the same shape as the given ones.

        `probs` is (tickets, labels), or has one more column, "none of these", which is the empty set's.
        """
        sets = self.sets
        if probs.shape[1] == sets.shape[1] + 1:
            sets = np.column_stack([sets, ~sets.any(axis=1)])
        inside = np.clip(probs.astype(np.float64), LEAST, MOST_CERTAIN)
        with_label, without = np.log(inside), np.log1p(-inside)
        logs: FloatArray = (with_label - without) @ sets.T.astype(np.float64)  # the sum over all labels cancels
        shares = np.exp(logs - logs.max(axis=1, keepdims=True, initial=0.0))
        shares /= shares.sum(axis=1, keepdims=True)
        together = (1 - self.novelty) * (shares @ sets) + self.novelty * probs
        corrected: Probs = np.clip(together, 0, 1).astype(np.float32)
        return corrected

    def to_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """The sets as `calibration.json` holds them, by the labels' names."""
        return {
            "novelty": self.novelty,
            "given": [[name for name, carried in zip(names, row, strict=True) if carried] for row in self.sets],
        }

    @classmethod
    def from_dict(cls, document: Any, names: Sequence[str]) -> LabelSets:
        """Read what `to_dict` gave; raises ValueError that says what is wrong."""
        if not isinstance(document, Mapping) or set(document) != {"novelty", "given"}:
            raise ValueError("`sets` does not hold exactly `novelty` and `given`")
        novelty, given = document["novelty"], document["given"]
        if isinstance(novelty, bool) or not isinstance(novelty, int | float) or not 0 <= novelty <= 1:
            raise ValueError("`novelty` is not a number from 0 to 1")
        column = {name: index for index, name in enumerate(names)}
        if not isinstance(given, list) or not 0 < len(given) <= MOST + 1:
            raise ValueError(f"`given` is not a list of 1 to {MOST + 1} sets")
        sets = np.zeros((len(given), len(names)), dtype=np.bool_)
        for row, labels in enumerate(given):
            if not isinstance(labels, list) or not all(isinstance(name, str) and name in column for name in labels):
                raise ValueError("a set in `given` holds what is no label of taxonomy.toml")
            sets[row, [column[name] for name in labels]] = True
        return cls(sets, float(novelty))
