"""Reads texts whole: one that is too long for the scorer in passages, which then speak for it together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray, Probs
from tagdesk.calibrate import Calibration, split_none
from tagdesk.scorers import Scorer
from tagdesk.scorers.base import Scores

MOST = 8  # passages of a text; with 256 tokens each some 1,400 words, and a tenth of a second's work each at most


@dataclass(frozen=True, slots=True)
class Reading:
    """What a scorer says of texts, before calibration and after, both (tickets, labels).

    Attributes:
        raw: the scorer's probabilities.
        probs: the calibrated ones.
        none: (tickets,), the probability of "none of these", where the scorer has learned it.
        long: (tickets,), True where a text was read in passages.
        truncated: (tickets,), True where even those left some of it out.
        unknown: (tickets,), share of the tokens that the scorer has never seen.
    """

    raw: Probs
    probs: Probs
    none: Probs | None
    long: BoolArray
    truncated: BoolArray
    unknown: FloatArray

    def take(self, rows: Sequence[int]) -> Self:
        """The given rows, in that order."""
        chosen = np.asarray(rows, dtype=np.int64)
        none = None if self.none is None else self.none[chosen]
        raw, probs = self.raw[chosen], self.probs[chosen]
        return type(self)(raw, probs, none, self.long[chosen], self.truncated[chosen], self.unknown[chosen])

    @classmethod
    def joined(cls, readings: Sequence[Self]) -> Self:
        """Readings of the same model, at least one, behind each other."""
        nones = [reading.none for reading in readings if reading.none is not None]
        return cls(
            np.concatenate([reading.raw for reading in readings]),
            np.concatenate([reading.probs for reading in readings]),
            np.concatenate(nones) if nones else None,
            np.concatenate([reading.long for reading in readings]),
            np.concatenate([reading.truncated for reading in readings]),
            np.concatenate([reading.unknown for reading in readings]),
        )


def read_whole(texts: Sequence[str], scores: Scores, scorer: Scorer, calibration: Calibration, labels: int) -> Reading:
    """What the scorer says of the texts, those included that it cuts off.

    A label is as probable in a long text as in the passage that speaks most for it; "none of these" is as probable as
    in the passage that speaks least for it: whoever raises a need on the third page has raised it.

    Args:
        texts: cleaned.
        scores: what the scorer says of what it reads of them; "none of these" stands behind the labels or not at all.
        scorer: reads the rest.
        calibration: of the scorer's columns.
        labels: how many columns are labels.
    """
    raw, _ = split_none(scores.probs, labels)
    probs, none = split_none(calibration.apply(scores.probs), labels)
    long, truncated = scores.truncated, np.zeros(len(texts), dtype=np.bool_)
    rest: list[str] = []
    owners: list[int] = []
    for place in np.flatnonzero(long).tolist():
        _first, *more = scorer.passages(texts[place])
        truncated[place] = len(more) >= MOST
        rest += more[: MOST - 1]
        owners += [place] * len(more[: MOST - 1])
    if rest:
        further = scorer.score(rest).probs
        more_raw, _ = split_none(further, labels)
        more_probs, more_none = split_none(calibration.apply(further), labels)
        raw, probs = raw.copy(), probs.copy()
        np.maximum.at(raw, owners, more_raw)
        np.maximum.at(probs, owners, more_probs)
        if none is not None and more_none is not None:
            none = none.copy()
            np.minimum.at(none, owners, more_none)
    return Reading(raw, probs, none, long, truncated, scores.unknown)
