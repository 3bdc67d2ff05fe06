"""The tickets among which people are asked, as a model sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import Embeddings, IntArray, Probs, Targets
from tagdesk.policy import Policy


@dataclass(frozen=True, eq=False)
class Pool:
    """Tickets that nobody has labelled yet, and what is known of those that somebody has.

    Attributes:
        probs: (tickets, labels), calibrated, in 0..1.
        policy: says from which probability on a label is given.
        none: (tickets,), probabilities of "none of these", where the model has learned it.
        embeddings: (tickets, width), rows of length 1; without them a batch is doubtful, but not diverse.
        groups: (tickets,), near duplicates share a number, as `tagdesk.dataset` finds them.
        labelled: (labelled tickets, labels), what people gave so far.
        labelled_embeddings: (labelled tickets, width), of some or all of them.

    Raises:
        ValueError: for arrays that do not fit each other, or probabilities outside 0..1.

    >>> len(Pool(np.array([[0.2, 0.9]], dtype=np.float32), Policy.uniform(["A", "B"], 0.5)))
    1
    """

    probs: Probs
    policy: Policy
    none: Probs | None = None
    embeddings: Embeddings | None = None
    groups: IntArray | None = None
    labelled: Targets | None = None
    labelled_embeddings: Embeddings | None = None

    def __post_init__(self) -> None:
        labels = len(self.policy.names)
        if self.probs.ndim != 2 or self.probs.shape[1] != labels or not labels:
            raise ValueError(f"Probabilities {self.probs.shape} for a policy of {labels} labels.")
        for name, each in (("none", self.none), ("groups", self.groups)):
            if each is not None and each.shape != (len(self),):
                raise ValueError(f"{name} {each.shape}: expected one value per ticket, ({len(self)},).")
        for name, share in (("probs", self.probs), ("none", self.none)):
            if share is not None and not ((share >= 0) & (share <= 1)).all():
                raise ValueError(f"{name}: expected finite numbers in 0..1.")
        if self.labelled is not None and (self.labelled.ndim != 2 or self.labelled.shape[1] != labels):
            raise ValueError(f"labelled {self.labelled.shape}: expected (tickets, {labels}).")
        self._check_embeddings()

    def __len__(self) -> int:
        return len(self.probs)

    def take(self, places: IntArray) -> Pool:
        """The tickets at the given places, in that order, beside the same labelled ones."""
        return Pool(
            self.probs[places],
            self.policy,
            None if self.none is None else self.none[places],
            None if self.embeddings is None else self.embeddings[places],
            None if self.groups is None else self.groups[places],
            self.labelled,
            self.labelled_embeddings,
        )

    def _check_embeddings(self) -> None:
        own, others = self.embeddings, self.labelled_embeddings
        if own is not None and (own.ndim != 2 or len(own) != len(self)):
            raise ValueError(f"embeddings {own.shape}: expected one row per ticket, ({len(self)}, width).")
        if others is not None and (own is None or others.ndim != 2 or others.shape[1] != own.shape[1]):
            raise ValueError("labelled_embeddings: expected rows as wide as embeddings.")
        if any(rows is not None and not np.isfinite(rows).all() for rows in (own, others)):
            raise ValueError("Embeddings: expected finite numbers.")
