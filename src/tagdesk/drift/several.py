"""Makes allowance for the many tests of one comparison."""

from __future__ import annotations

import numpy as np

from tagdesk.arrays import FloatArray


def holm(p: FloatArray, weights: FloatArray) -> FloatArray:
    """P-values to hold against the share of false alarms for all tests together, (tests,), by Holm's method (1979).

    It needs no assumption about how the tests hang together, and these do: one label's rate, its scores and the number
    of labels move as one. With weights, as in his section 4, a test may spend more or less of the allowance.

    Args:
        p: (tests,), each as if it were alone.
        weights: (tests,), above 0; only their proportions count.

    >>> holm(np.array([0.01, 0.04, 0.03]), np.ones(3)).tolist()
    [0.03, 0.06, 0.06]
    >>> holm(np.array([0.01, 0.04, 0.03]), np.array([2.0, 1.0, 1.0])).round(3).tolist()
    [0.02, 0.06, 0.06]
    """
    order = np.argsort(p / weights, kind="stable")
    left = np.cumsum(weights[order][::-1])[::-1]
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * left / weights[order]))
    return adjusted
