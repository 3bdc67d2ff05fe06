"""Chooses the tickets that people look at next: most of them for doubt, some at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import FloatArray, IntArray
from tagdesk.errors import UsageError
from tagdesk.rank.diversity import diverse, likes
from tagdesk.rank.pool import Pool
from tagdesk.rank.reasons import RANDOM, reasons
from tagdesk.rank.strategies import DEFAULT, doubt_of

MOST_LOOKED_AT = 200_000  # tickets that are ranked by doubt, a random sample of more


@dataclass(frozen=True, slots=True)
class Pick:
    """A ticket to look at, and why.

    Attributes:
        place: in the pool.
        reason: in words, for whoever looks at it.
        doubt: by the strategy; only its order within one call means something.
        likes: other tickets of the pool that say nearly the same.
        probability: with which every ticket of the pool was drawn as a random check in this call, whatever the doubt.
        is_check: whether it was drawn as one; estimates of live quality count these alone, weighted by 1 / probability.
    """

    place: int
    reason: str
    doubt: float
    likes: int
    probability: float
    is_check: bool


def choose(pool: Pool, n: int, strategy: str = DEFAULT, *, audit_share: float = 0.2, seed: int = 0) -> list[Pick]:
    """The next n tickets to look at: doubtful and diverse ones, with random checks spread evenly among them.

    The checks are drawn first, from the whole pool, so that they show what the model is worth on all tickets. Their
    number is n * audit_share, rounded up or down by chance so that the share holds on average, also where n is 1.
    There are fewer than n picks where the pool is smaller, or all else in it is a near duplicate of the picks.

    Args:
        pool: nobody has labelled any of its tickets.
        n: how many.
        strategy: one of `STRATEGIES`.
        audit_share: of the picks that are random checks, in 0..1.
        seed: of all draws.

    Raises:
        UsageError: for an unknown strategy, one that needs what the pool lacks, a negative n or a share outside 0..1.

    >>> from tagdesk.policy import Policy
    >>> probs = np.array([[0.48, 0.52], [0.99, 0.01]], dtype=np.float32)
    >>> pool = Pool(probs, Policy.uniform(["Refund Request", "Billing Issue"], 0.5))
    >>> [pick.reason for pick in choose(pool, 1, "margin", audit_share=0)]
    ['close call between Billing Issue and Refund Request (.52 / .48)']
    """
    if n < 0 or not 0 <= audit_share <= 1:
        raise UsageError(f"n {n}, audit_share {audit_share:g}: expected n >= 0 and a share in 0..1.", code="bad_batch")
    n = min(n, len(pool))
    generator = np.random.default_rng(seed)
    checks = _random_checks(len(pool), n * audit_share, generator)
    ranked = np.union1d(_looked_at(len(pool), generator), checks)
    doubt = np.full(len(pool), -np.inf)
    doubt[ranked] = doubt_of(pool.take(ranked), strategy)
    others = doubt.copy()
    others[checks] = -np.inf
    doubtful = diverse(pool, others, n - len(checks), seed=int(generator.integers(2**31)))
    doubtful = doubtful[np.argsort(-doubt[doubtful], kind="stable")]
    return _picks(pool, _spread(doubtful, checks), doubt, set(checks.tolist()), n * audit_share / max(1, len(pool)))


def _random_checks(tickets: int, expected: float, generator: np.random.Generator) -> IntArray:
    count = min(tickets, int(expected) + int(generator.random() < expected - int(expected)))
    return generator.permutation(tickets)[:count].astype(np.int64)


def _looked_at(tickets: int, generator: np.random.Generator) -> IntArray:
    if tickets <= MOST_LOOKED_AT:
        return np.arange(tickets)
    return np.sort(generator.choice(tickets, size=MOST_LOOKED_AT, replace=False))


def _spread(doubtful: IntArray, checks: IntArray) -> IntArray:
    """Both in their order, the checks at even distances, so that whoever stops early has done their share of them."""
    at = [np.arange(1, len(part) + 1) / (len(part) + 1) for part in (doubtful, checks)]
    order = np.argsort(np.concatenate(at), kind="stable")
    return np.asarray(np.concatenate([doubtful, checks])[order], dtype=np.int64)


def _picks(pool: Pool, places: IntArray, doubt: FloatArray, checks: set[int], probability: float) -> list[Pick]:
    rows = zip(places.tolist(), reasons(pool, places), likes(pool, places).tolist(), strict=True)
    return [
        Pick(place, RANDOM if place in checks else why, float(doubt[place]), count, probability, place in checks)
        for place, why, count in rows
    ]
