"""Shares out a label's log-odds over the words of a ticket, where a scorer can say what each character adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from tagdesk.arrays import FloatArray
from tagdesk.calibrate import Calibration
from tagdesk.explain.align import origins
from tagdesk.explain.values import Weighed
from tagdesk.explain.words import opening, owners, words_of
from tagdesk.text import clean


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Logits in parts that add up to them.

    Attributes:
        bias: (columns,), the logits of a text without any feature.
        characters: (characters, columns), what each character of the text adds.
    """

    bias: FloatArray
    characters: FloatArray


@runtime_checkable
class Explains(Protocol):
    """A scorer whose logits are sums over the characters of a text."""

    def shares(self, text: str, columns: Sequence[int]) -> Shares:
        """The logits of a cleaned text in parts, for some of the scorer's columns, in the order given."""
        ...


def weigh_exactly(text: str, scorer: Explains, calibration: Calibration, columns: Sequence[int]) -> Weighed:
    """What each word of a text adds to the calibrated log-odds of some columns.

    `base` and the weights add up to the log-odds before labels learn of each other (`Calibration.sets`), less what
    stands where no word could be found, such as within the tags of HTML.

    Args:
        text: as it was sent.
        scorer: says what each character of the cleaned text adds.
        calibration: of the scorer's columns; each has a slope that stretches its weights alike.
        columns: of the scorer.
    """
    cleaned = clean(text).text
    shares = scorer.shares(cleaned, columns)
    slopes, intercepts = calibration.slopes[list(columns)], calibration.intercepts[list(columns)]
    begun = opening(text)
    words = words_of(begun)
    places = origins(begun, cleaned)
    found = np.where(places >= 0, owners(begun, words)[places], -1)
    weights = np.zeros((len(words), len(columns)))
    np.add.at(weights, found[found >= 0], shares.characters[found >= 0])
    return Weighed(
        tuple(words), weights * slopes, shares.bias * slopes + intercepts, is_exact=True, is_coarse=begun != text
    )
