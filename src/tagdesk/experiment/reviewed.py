"""Keeps outcomes honest that are known only where somebody looked.

Only reviewed tickets have an outcome, and it is the doubtful ones that are reviewed most. Their plain mean is the mean
of doubtful tickets. Weighted by one over the probability with which each came to be reviewed, they speak for all
(Horvitz and Thompson, 1952; the ratio of weighted sums is Hájek's).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import FloatArray
from tagdesk.errors import UsageError
from tagdesk.experiment.sample_ratio import chi_squared

ALPHA = 0.001  # at one look; thirty daily ones then raise a false alarm in one of a hundred experiments


@dataclass(frozen=True, slots=True)
class ReviewShares:
    """Which share of each variant's tickets was reviewed.

    Attributes:
        shares: by variant; None where it answered none.
        p: of the chi-squared test of whether they are equal.
        differs: whether they are not.
    """

    shares: Mapping[str, float | None]
    p: float
    differs: bool

    @property
    def sentence(self) -> str:
        """What a person reads."""
        named = ", ".join(
            f"{name} {'none answered' if share is None else f'{100 * share:.1f} %'}"
            for name, share in self.shares.items()
        )
        if self.differs:
            return f"The variants are not reviewed alike, so their reviews cannot be compared as they are: {named}."
        return f"The variants are reviewed alike: {named}."


def review_probability(audit: float, picked: FloatArray) -> FloatArray:
    """With which probability each ticket comes to be reviewed, (tickets,).

    Args:
        audit: the share of all tickets drawn at random for review, above 0 to 1; those drawn are reviewed for certain.
        picked: (tickets,), with which probability the ticket would be picked for its doubt, were it not drawn; 1 and 0
            where a rule decides.

    Raises:
        UsageError: `no_audit`, where nothing is drawn at random, so that some tickets could never be reviewed.
        ValueError: for probabilities outside 0..1.

    >>> review_probability(0.1, np.array([1.0, 0.5, 0.0])).tolist()
    [1.0, 0.55, 0.1]
    """
    picked = np.asarray(picked, dtype=np.float64)
    if not 0 < audit <= 1:
        raise UsageError(
            f"Audit share {audit:g}: expected above 0 to 1. Without tickets drawn at random nothing is known of those "
            "that raise no doubt; draw a few per cent.",
            code="no_audit",
        )
    if not ((picked >= 0) & (picked <= 1)).all():
        raise ValueError("picked: expected probabilities in 0..1.")
    found: FloatArray = audit + (1 - audit) * picked
    return found


def review_weights(probability: FloatArray) -> FloatArray:
    """How many tickets each reviewed one stands for, (tickets,), by the probability with which it came to be reviewed.

    Raises:
        ValueError: for probabilities that are not above 0 and at most 1.

    >>> review_weights(np.array([1.0, 0.1])).tolist()
    [1.0, 10.0]
    """
    probability = np.asarray(probability, dtype=np.float64)
    if not ((probability > 0) & (probability <= 1)).all():
        raise ValueError(
            "probability: expected numbers above 0 and at most 1; what was reviewed had some chance of it."
        )
    found: FloatArray = 1 / probability
    return found


def review_shares(answered: Mapping[str, int], reviewed: Mapping[str, int], alpha: float = ALPHA) -> ReviewShares:
    """Whether all variants' tickets were reviewed in the same share.

    Where doubt decides what is reviewed the shares may well differ, since variants doubt differently: then ask this of
    the tickets drawn at random, and weight the outcomes of all.

    Args:
        answered: tickets by variant.
        reviewed: how many of them were reviewed; 0 for a variant that is missing.
        alpha: between 0 and 1.

    Raises:
        ValueError: for more reviews than tickets, or of a variant that answered none.

    >>> review_shares({"a": 1000, "b": 1000}, {"a": 100, "b": 160}).differs
    True
    """
    total = np.array([*answered.values()], dtype=np.float64)
    seen = np.array([reviewed.get(name, 0) for name in answered], dtype=np.float64)
    if set(reviewed) - set(answered) or ((seen < 0) | (seen > total)).any():
        raise ValueError(f"Reviewed {dict(reviewed)} of {dict(answered)}: expected from 0 to as many, of each variant.")
    shares = {
        name: float(some / all_) if all_ else None for name, some, all_ in zip(answered, seen, total, strict=True)
    }
    some, all_ = seen[total > 0], total[total > 0]
    p = 1.0
    if len(all_) > 1 and 0 < some.sum() < all_.sum():
        share = some.sum() / all_.sum()
        p = chi_squared(np.append(some, all_ - some), np.append(all_ * share, all_ * (1 - share)), len(all_) - 1)
    return ReviewShares(shares, p, differs=p <= alpha)
