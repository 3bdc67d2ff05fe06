"""What an explanation says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tagdesk.arrays import FloatArray
from tagdesk.explain.words import Span

NONE = "none of these"  # stands for the label that a ticket out of scope carries
DECIDES = 0.2  # log-odds; what moves them less moves no probability by more than five points
TOLD = 20  # words that JSON names of each label; the strongest


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """What stretches of a text add to the log-odds of some columns.

    Attributes:
        spans: in the order of the text; none overlaps another.
        weights: (spans, columns); NaN where that was not found out.
        base: (columns,), log-odds without any word; None where no text without words can be judged.
        is_exact: whether the weights were read off the model rather than found by leaving words out.
        is_coarse: whether some spans hold several words, or parts of the text were not looked at.
        variants: texts that were judged to find out.
    """

    spans: tuple[Span, ...]
    weights: FloatArray
    base: FloatArray | None = None
    is_exact: bool = False
    is_coarse: bool = False
    variants: int = 0


@dataclass(frozen=True, slots=True)
class Contribution:
    """A word, or a few that stand together, and what it adds to a label's log-odds.

    `start` and `end` count characters (code points) of the text as it was sent: `text[start:end]` is the word.
    """

    start: int
    end: int
    text: str
    weight: float

    def to_dict(self) -> dict[str, Any]:
        """The contribution as JSON holds it."""
        return {"start": self.start, "end": self.end, "text": self.text, "weight": _rounded(self.weight)}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a label is as probable as it is.

    Attributes:
        label: a label of the taxonomy, or `NONE`.
        score: its calibrated probability.
        contributions: in the order of the text.
        base: its log-odds without any word, where the model can say that.

    >>> reason = Reason("Refund", 0.9, (Contribution(0, 2, "no", -0.5), Contribution(3, 9, "refund", 2.0)))
    >>> [word.text for word in reason.speaking_for], [word.text for word in reason.speaking_against]
    (['refund'], ['no'])
    """

    label: str
    score: float
    contributions: tuple[Contribution, ...]
    base: float | None = None

    @property
    def speaking_for(self) -> list[Contribution]:
        """What raises the label, the strongest first; words of equal weight in the order of the text."""
        return sorted((one for one in self.contributions if one.weight > 0), key=lambda one: -one.weight)

    @property
    def speaking_against(self) -> list[Contribution]:
        """What lowers the label, the strongest first."""
        return sorted((one for one in self.contributions if one.weight < 0), key=lambda one: one.weight)

    @property
    def has_deciding_word(self) -> bool:
        """Whether any word moves the log-odds by `DECIDES` or more; else no single word decides."""
        return any(abs(one.weight) >= DECIDES for one in self.contributions)

    def to_dict(self, most: int = TOLD) -> dict[str, Any]:
        """The reason as JSON holds it, with its `most` strongest words in the order of the text."""
        order = sorted(range(len(self.contributions)), key=lambda place: -abs(self.contributions[place].weight))
        return {
            "label": self.label,
            "score": round(self.score, 6),
            "base": None if self.base is None else _rounded(self.base),
            "has_deciding_word": self.has_deciding_word,
            "words": [self.contributions[place].to_dict() for place in sorted(order[:most])],
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a model gave a ticket its labels: the words that speak for and against each.

    Attributes:
        text: as it was sent.
        reasons: one for each explained label, in the order asked for.
        method: `exact` where the weights were read off the model, `occlusion` where words were left out.
        is_coarse: whether some weights are those of several words together, or parts of the text were not looked at.
        variants: texts that were judged to find out.
    """

    text: str
    reasons: tuple[Reason, ...]
    method: str
    is_coarse: bool = False
    variants: int = 0

    def to_dict(self, most: int = TOLD) -> dict[str, Any]:
        """The explanation as JSON holds it, without the text; `most` words of each label."""
        return {
            "method": self.method,
            "coarse": self.is_coarse,
            "variants": self.variants,
            "labels": [reason.to_dict(most) for reason in self.reasons],
        }


def explanation_of(text: str, labels: Sequence[str], scores: Sequence[float], weighed: Weighed) -> Explanation:
    """The explanation that weights amount to; their columns are the labels, `scores` the labels' probabilities."""
    reasons = []
    for column, (label, score) in enumerate(zip(labels, scores, strict=True)):
        weights = weighed.weights[:, column].tolist()
        contributions = tuple(
            Contribution(span.start, span.end, text[span.start : span.end], weight)
            for span, weight in zip(weighed.spans, weights, strict=True)
            if not math.isnan(weight)
        )
        base = None if weighed.base is None else float(weighed.base[column])
        reasons.append(Reason(label, score, contributions, base))
    method = "exact" if weighed.is_exact else "occlusion"
    return Explanation(text, tuple(reasons), method, weighed.is_coarse, weighed.variants)


def _rounded(weight: float) -> float:
    """Four digits, and no -0.0."""
    return round(weight, 4) + 0.0
