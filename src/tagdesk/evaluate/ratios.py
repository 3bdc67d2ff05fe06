"""Quotients that may be undefined."""

from __future__ import annotations

import math

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray, IntArray


def ratio(part: FloatArray | IntArray, whole: FloatArray | IntArray) -> FloatArray:
    """The quotient of two arrays of one shape, NaN where the divisor is 0.

    >>> ratio(np.array([1, 0]), np.array([2, 0])).tolist()
    [0.5, nan]
    """
    quotient: FloatArray = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return quotient


def defined(figure: float) -> float | None:
    """The figure as reports hold it: None where it is NaN."""
    return None if math.isnan(figure) else float(figure)


def mean(figures: FloatArray | IntArray | BoolArray) -> float | None:
    """The mean of the figures that are not NaN; None when there are none.

    >>> mean(np.array([0.2, np.nan, 0.4])), mean(np.array([]))
    (0.3..., None)
    """
    kept = figures[~np.isnan(figures)]
    return float(kept.mean()) if len(kept) else None
