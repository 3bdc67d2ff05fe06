"""What the model says of one ticket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Decision(IntEnum):
    """What the desk may do with a label; a higher one asks for more certainty."""

    NONE = 0
    SUGGEST = 1
    AUTOMATE = 2

    @property
    def word(self) -> str:
        """The decision as it stands in files and answers: none, suggest or automate."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Prediction:
    """The labels, calibrated scores and decisions for one text, and who said so.

    `labels` holds the labels that reach "suggest", most probable first. `scores` maps every label of the taxonomy, in
    its order, to a probability. `out_of_scope` is the probability that the ticket belongs to no label at all, or None
    where the model has not learned it; from the policy's cut on the ticket gets the flag `out_of_scope` and no label.
    The other flags say what was unusual about the text (`very_short`; `long`: read in passages;
    `truncated`: some of it was not read; ...).

    >>> p = Prediction("hi", ("A",), {"A": 0.9, "B": 0.1}, {"A": Decision.SUGGEST, "B": Decision.NONE}, "m", "p")
    >>> p.best
    'A'
    """

    text: str
    labels: tuple[str, ...]
    scores: Mapping[str, float]
    decisions: Mapping[str, Decision]
    model: str
    policy: str
    flags: tuple[str, ...] = ()
    out_of_scope: float | None = None

    @property
    def best(self) -> str:
        """The most probable label, whether or not it reaches its threshold."""
        return max(self.scores, key=lambda label: self.scores[label])

    def to_dict(self) -> dict[str, Any]:
        """The prediction as JSON holds it."""
        return {
            "text": self.text,
            "labels": list(self.labels),
            "scores": {label: round(score, 6) for label, score in self.scores.items()},
            "decisions": {label: decision.word for label, decision in self.decisions.items()},
            "out_of_scope": None if self.out_of_scope is None else round(self.out_of_scope, 6),
            "flags": list(self.flags),
            "model": self.model,
            "policy": self.policy,
        }
