"""Makes an experiment sharper by what was known of its units before it began."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Adjusted:
    """Outcomes less what the time before already told of them.

    Attributes:
        values: (units,), to be compared as the outcomes would have been; their mean is the outcomes' mean.
        slope: by how much an outcome rises with the covariate.
        reduction: the share of the variance that is gone, 0 where the covariate tells nothing.
    """

    values: FloatArray
    slope: float
    reduction: float


def adjust(outcomes: FloatArray, before: FloatArray, groups: IntArray) -> Adjusted:
    """Take from each outcome what the unit's covariate from before the experiment lets one expect.

    The mean difference between groups stays what it is on average, and its variance falls by the square of the
    correlation within groups. A unit without covariate keeps its outcome; a covariate that is constant changes nothing.
    Source: Deng, Xu, Kohavi and Walker (2013), "Improving the sensitivity of online controlled experiments by utilizing
    pre-experiment data".

    Args:
        outcomes: (units,), one for each customer.
        before: (units,), the same or another figure from before the unit was assigned; NaN where there is none.
        groups: (units,), the number of each unit's variant. The slope is that within variants, so that an effect of
            the experiment is not taken for one of the covariate.

    Raises:
        ValueError: for arrays of different shapes, and outcomes that are not finite.

    >>> before = np.array([1.0, 2.0, 3.0, np.nan])
    >>> adjust(np.array([2.0, 4.0, 6.0, 5.0]), before, np.zeros(4, dtype=np.int64)).values.tolist()
    [4.0, 4.0, 4.0, 5.0]
    """
    outcomes, before = np.asarray(outcomes, dtype=np.float64), np.asarray(before, dtype=np.float64)
    if not (outcomes.ndim == 1 and outcomes.shape == before.shape == np.shape(groups)):
        raise ValueError(
            f"outcomes {outcomes.shape}, before {before.shape}, groups {np.shape(groups)}: expected (units,) thrice."
        )
    if not np.isfinite(outcomes).all() or np.isinf(before).any():
        raise ValueError("Expected finite outcomes, and covariates that are finite or NaN for none.")
    known = ~np.isnan(before)
    inside_before, inside_outcomes = (_inside(values[known], groups[known]) for values in (before, outcomes))
    spread = float((inside_before**2).sum())
    # What rounding leaves of a constant is no spread.
    scale = float((before[known] ** 2).sum()) * 1e-24
    slope = float((inside_before * inside_outcomes).sum()) / spread if spread > scale else 0.0
    away = np.where(known, before - (before[known].mean() if known.any() else 0.0), 0.0)
    values = outcomes - slope * away
    total = float((_inside(outcomes, groups) ** 2).sum())
    reduction = 1 - float((_inside(values, groups) ** 2).sum()) / total if total else 0.0
    return Adjusted(values, slope, reduction)


def _inside(values: FloatArray, groups: IntArray) -> FloatArray:
    """The values less the mean of their group, (units,)."""
    _, codes = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(codes, weights=values), np.bincount(codes)
    inside: FloatArray = values - (sums / np.maximum(counts, 1))[codes]
    return inside
