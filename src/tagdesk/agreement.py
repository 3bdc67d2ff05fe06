"""Says how far people who labelled the same tickets agree."""

from __future__ import annotations

import numpy as np

from tagdesk.arrays import FloatArray, IntArray, Targets

MISSING = -1  # a unit that a coder did not judge


def alpha(codes: IntArray) -> float:
    """Krippendorff's alpha for nominal codes: 1 is full agreement, 0 what chance would give.

    NaN where all codes are the same, because chance would agree too, and where no unit was judged twice. Source:
    Krippendorff, Content Analysis (2004), chapter 11.

    Args:
        codes: (coders, units), from 0 up, or `MISSING`.

    >>> alpha(np.array([[0, 0, 1, 1], [0, 0, 1, 1]]))
    1.0
    >>> round(alpha(np.array([[0, 0, 1, 1], [0, 1, 0, 1]])), 3)
    0.125
    """
    if codes.ndim != 2 or codes.min(initial=0) < MISSING:
        raise ValueError(f"Codes {codes.shape}: expected (coders, units), from 0 up, or {MISSING} for a gap.")
    n_codes = int(codes.max(initial=0)) + 1
    counts = np.zeros((codes.shape[1], n_codes), dtype=np.float64)  # of each code for each unit
    for row in codes:
        judged = np.flatnonzero(row != MISSING)
        counts[judged, row[judged]] += 1
    counts = counts[counts.sum(axis=1) >= 2]
    judgements = counts.sum(axis=1)
    pairs = counts.T @ (counts / (judgements - 1)[:, np.newaxis]) - np.diag((counts.T / (judgements - 1)).sum(axis=1))
    each: FloatArray = pairs.sum(axis=1)
    total = each.sum()
    by_chance = total**2 - (each**2).sum()
    if not by_chance:
        return float("nan")
    return float(1 - (total - 1) * (total - np.trace(pairs)) / by_chance)


def same_sets(first: Targets, second: Targets) -> float:
    """Share of the tickets to which both gave exactly the same labels; each (tickets, labels).

    >>> same_sets(np.array([[True, False], [True, True]]), np.array([[True, False], [True, False]]))
    0.5
    """
    return float((first == second).all(axis=1).mean())
