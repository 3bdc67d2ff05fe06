"""Estimates what the live model is worth on all tickets, from the random checks among the reviewed ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray, Targets


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its confidence interval, and the checks that it stands on."""

    value: float
    low: float
    high: float
    checks: int


@dataclass(frozen=True, slots=True)
class LiveQuality:
    """What random checks say of all tickets; None where no check says anything.

    Attributes:
        exact_match: share of the tickets that get exactly the right labels.
        recall: by label, share of the tickets that deserve it and get it.
        checks: how many there were.
        confidence: of the intervals.
    """

    exact_match: Estimate | None
    recall: Mapping[str, Estimate | None]
    checks: int
    confidence: float


def live_quality(
    targets: Targets, decided: BoolArray, probabilities: FloatArray, names: Sequence[str], *, confidence: float = 0.95
) -> LiveQuality:
    """Estimate exact match and the recall of each label from reviewed random checks.

    Each check stands for 1 / probability tickets (Horvitz & Thompson, 1952); sums of weights take the place of the
    unknown numbers of tickets (Hajek, 1971), so that checks of several calls, from pools of any size, may be put
    together. The interval is Wilson's (1927) for as many equally weighted checks as would be as exact (Kish, 1965).
    Tickets that were picked for doubt must be left out: they are harder than most.

    Args:
        targets: (checks, labels), what reviewers found.
        decided: (checks, labels), what the model had given.
        probabilities: (checks,), of being drawn, `Pick.probability`; above 0 and at most 1.
        names: the labels in order.
        confidence: of the intervals.

    >>> right = np.array([[True]] * 3 + [[False]])
    >>> found = live_quality(np.ones((4, 1), dtype=np.bool_), right, np.full(4, 0.1), ["A"])
    >>> found.exact_match.value, round(found.exact_match.low, 2), round(found.exact_match.high, 2)
    (0.75, 0.3, 0.95)
    """
    if targets.ndim != 2 or targets.shape != decided.shape or targets.shape[1] != len(names):
        raise ValueError(f"Targets {targets.shape}, decided {decided.shape}, {len(names)} names; these must agree.")
    if probabilities.shape != (len(targets),) or not ((probabilities > 0) & (probabilities <= 1)).all():
        raise ValueError("probabilities: expected one per check, above 0 and at most 1.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence:g}: expected a share between 0 and 1.")
    weights = 1.0 / probabilities
    exact = np.all(targets == decided, axis=1)
    recall = {
        name: _estimate(decided[deserved, label], weights[deserved], confidence)
        for label, (name, deserved) in enumerate(zip(names, targets.T, strict=True))
    }
    return LiveQuality(_estimate(exact, weights, confidence), recall, len(targets), confidence)


def _estimate(right: BoolArray, weights: FloatArray, confidence: float) -> Estimate | None:
    """The weighted share of those that are right, with Wilson's interval; None without any check."""
    from scipy.special import ndtri  # noqa: PLC0415 - slow to import

    if not len(right):
        return None
    weights = weights / weights.sum()
    share, size = float(weights @ right), float(1 / (weights @ weights))
    z = float(ndtri(0.5 + confidence / 2))
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * np.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    return Estimate(
        share, max(0.0, min(share, float(middle - half))), min(1.0, max(share, float(middle + half))), len(right)
    )
