"""Corrects the p-values of questions that are asked together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tagdesk.arrays import FloatArray
from tagdesk.compare.verdict import Difference
from tagdesk.evaluate.ratios import defined


def holm(p_values: Sequence[float] | FloatArray) -> FloatArray:
    """Holm's adjusted p-values, (questions,): the chance that any true "no difference" is denied stays below alpha.

    NaN stands for a question that could not be asked; it stays NaN and costs the others nothing. Source: Holm (1979),
    "A simple sequentially rejective multiple test procedure".

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    if given.ndim != 1 or ((given < 0) | (given > 1)).any():
        raise ValueError(f"p-values {given.shape}: expected one row of numbers in 0..1, or NaN.")
    adjusted = np.full(given.shape, np.nan)
    asked = np.flatnonzero(~np.isnan(given))
    order = asked[np.argsort(given[asked], kind="stable")]
    steps = given[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def corrected(differences: Sequence[Difference]) -> list[Difference]:
    """The differences with Holm's p-values, and a doubt where such a one shows nothing; intervals stay as they are.

    >>> from tagdesk.compare.verdict import Figure
    >>> asked = [Difference(Figure("a", "a"), 0.5, 0.6, (0.01, 0.19), 90, p=0.03) for _ in range(2)]
    >>> corrected(asked)[0].p, corrected(asked)[0].doubt
    (0.06, 'of 2 questions asked together, chance alone answers one like that often enough')
    """
    p_values = holm([np.nan if asked.p is None or asked.value is None else asked.p for asked in differences])
    questions = int((~np.isnan(p_values)).sum())
    often = f"of {questions} questions asked together, chance alone answers one like that often enough"
    return [
        replace(asked, p=defined(p), doubt=often if p > 1 - asked.confidence else asked.doubt)
        for asked, p in zip(differences, p_values.tolist(), strict=True)
    ]
