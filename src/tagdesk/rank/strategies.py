"""Turns a model's scores into doubt: how much each ticket is worth asking about.

Every function takes arrays and gives a doubt (tickets,), higher where asking teaches more. Closeness to a cut is
measured in log odds: .02 is as far from a cut of .2 as .08 is from one of .5. Differences of probabilities would call
every rare label a close call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from tagdesk.arrays import Embeddings, FloatArray, IntArray, Probs, Targets, Thresholds
from tagdesk.errors import UsageError
from tagdesk.rank.pool import Pool

LEAST = 1e-6  # a probability below it counts as it, so that log odds stay finite
EVEN = 0.5  # the cut of a label that is never given; such a label needs answers as well
BLOCK = 4096  # rows beside others at a time, which bounds the memory
MOST_SETS = 300  # label sets that a ticket's is held against, the most frequent ones
ONE_EACH = 0.98  # share of the labelled tickets with exactly one label, from which that is taken for the rule
FEWEST_SEEN = 20  # labelled tickets from which a rule is taken
MOST_ODDS = 50.0  # of a label against its cut; a surer one is no clearer

Strategy: TypeAlias = Callable[[Pool], FloatArray]


def gaps(probs: Probs, cuts: Thresholds) -> FloatArray:
    """How far each label lies above its cut, in log odds, (tickets, labels); below 0 it is not given.

    >>> gaps(np.array([[0.5, 0.2]], dtype=np.float32), np.array([0.5, np.inf])).round(2).tolist()
    [[0.0, -1.39]]
    """
    return _log_odds(probs) - _log_odds(np.where(np.isfinite(cuts), cuts, EVEN))


def margin(probs: Probs, cuts: Thresholds) -> FloatArray:
    """Closeness of the label that is nearest to its cut, (tickets,), in 0..1; 1 means on the line.

    >>> margin(np.array([[0.5, 0.1], [0.9, 0.1]], dtype=np.float32), np.array([0.5, 0.5])).round(2).tolist()
    [1.0, 0.11]
    """
    return np.asarray(np.exp(-np.abs(gaps(probs, cuts)).min(axis=1)))


def weakest_call(probs: Probs, cuts: Thresholds) -> FloatArray:
    """Closeness of the label that is highest above its cut, (tickets,), in 0..1: is the ticket given anything clearly?

    >>> weakest_call(np.array([[0.9, 0.5], [0.4, 0.1]], dtype=np.float32), np.array([0.5, 0.5])).round(2).tolist()
    [0.11, 0.67]
    """
    return np.asarray(np.exp(-np.abs(gaps(probs, cuts).max(axis=1))))


def runner_up(probs: Probs, cuts: Thresholds) -> FloatArray:
    """How close the second-best label comes to the best one, (tickets,), in 0..1; 1 is a tie, 0 with one label alone.

    The right doubt where a ticket carries exactly one label; where several may apply, two that are both clear would
    count as doubtful.

    >>> runner_up(np.array([[0.5, 0.5], [0.9, 0.1]], dtype=np.float32), np.array([0.5, 0.5])).round(2).tolist()
    [1.0, 0.01]
    """
    if probs.shape[1] < 2:
        return np.zeros(len(probs))
    best = np.sort(gaps(probs, cuts), axis=1)[:, -2:]
    return np.asarray(np.exp(best[:, 0] - best[:, 1]))


def close_calls(probs: Probs, cuts: Thresholds) -> FloatArray:
    """How many labels are close to their cuts, (tickets,), discounted where another label is clearly given.

    >>> close_calls(np.array([[0.5, 0.5], [0.9, 0.5]], dtype=np.float32), np.array([0.5, 0.5])).round(2).tolist()
    [1.41, 0.32]
    """
    above = gaps(probs, cuts)
    clear = np.minimum(np.exp(np.minimum(above, np.log(MOST_ODDS))), MOST_ODDS).sum(axis=1)
    return np.asarray(np.exp(-2 * np.abs(above)).sum(axis=1) / np.sqrt(clear))


def mean_entropy(probs: Probs) -> FloatArray:
    """The mean over labels of the binary entropy, (tickets,), in bits.

    >>> mean_entropy(np.array([[0.5, 1.0]], dtype=np.float32)).round(2).tolist()
    [0.5]
    """
    return np.asarray(_entropy(probs).mean(axis=1))


def max_entropy(probs: Probs) -> FloatArray:
    """The highest binary entropy of any label, (tickets,), in bits.

    >>> max_entropy(np.array([[0.5, 1.0]], dtype=np.float32)).round(2).tolist()
    [1.0]
    """
    return np.asarray(_entropy(probs).max(axis=1))


def cardinality(probs: Probs, cuts: Thresholds) -> FloatArray:
    """How far the number of labels given lies from the number to be expected, (tickets,).

    >>> cardinality(np.array([[0.4, 0.4], [1.0, 0.0]], dtype=np.float32), np.array([0.5, 0.5])).round(2).tolist()
    [0.8, 0.0]
    """
    given = (gaps(probs, cuts) >= 0).sum(axis=1)
    return np.asarray(np.abs(given - probs.sum(axis=1, dtype=np.float64)))


def cvirs(probs: Probs, cuts: Thresholds, labelled: Targets) -> FloatArray:
    """Closeness to the cuts, ranked label by label, times how unlike the decided set is to those that people gave.

    The idea is that of Reyes, Morell & Ventura (2018), "Effective active learning strategy for multi-label learning",
    Neurocomputing 273: each label ranks the tickets by its margin, the ranks are added up (Borda's count), and the sum
    is weighted by the mean distance of the decided label set to the labelled ones. The distance is 1 where two sets
    answer every label differently, else the share of their joint entropy that they do not have in common. Here the
    margin is that to the policy's cuts. Without labelled tickets all weights are the same.

    Args:
        probs: (tickets, labels).
        cuts: (labels,).
        labelled: (labelled tickets, labels).

    >>> both = np.array([[0.6, 0.6], [0.6, 0.4]], dtype=np.float32)
    >>> doubt = cvirs(both, np.array([0.5, 0.5]), np.array([[True, False]] * 3))
    >>> bool(doubt[0] > doubt[1])  # nobody has given both labels yet
    True
    """
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    above = gaps(probs, cuts)
    ranks = np.zeros(len(above))
    for column in above.T:
        ranks += rankdata(-np.abs(column)) / max(1, len(above))
    return np.asarray(ranks / above.shape[1] * _inconsistency(above >= 0, labelled))


def out_of_scope(none: Probs, cut: float) -> FloatArray:
    """Closeness of the probability of "none of these" to the out-of-scope cut, (tickets,), in 0..1.

    >>> out_of_scope(np.array([0.5, 0.1], dtype=np.float32), 0.5).round(2).tolist()
    [1.0, 0.11]
    """
    return margin(none[:, np.newaxis], np.array([cut]))


def novelty(embeddings: Embeddings, labelled: Embeddings) -> FloatArray:
    """How unlike each ticket is to the labelled one that it resembles most, (tickets,): 1 - cosine; 1 where none is.

    >>> novelty(np.eye(2, dtype=np.float32), np.array([[1, 0]], dtype=np.float32)).tolist()
    [0.0, 1.0]
    """
    nearest = np.zeros(len(embeddings))
    if len(labelled):
        for start in range(0, len(embeddings), BLOCK):
            nearest[start : start + BLOCK] = (embeddings[start : start + BLOCK] @ labelled.T).max(axis=1)
    return 1.0 - nearest


def borda(*doubts: FloatArray) -> FloatArray:
    """Several doubts as one, by the mean of the ranks that they give, (tickets,), in 0..1; ties share a rank.

    >>> borda(np.array([1.0, 5.0, 3.0]), np.array([0.0, 9.0, 9.0])).round(2).tolist()
    [0.0, 0.88, 0.62]
    """
    from scipy.stats import rankdata  # noqa: PLC0415

    ranks = [(rankdata(doubt) - 1) / max(1, len(doubt) - 1) for doubt in doubts]
    return np.asarray(np.mean(ranks, axis=0))


def doubt_of(pool: Pool, strategy: str) -> FloatArray:
    """The doubt of each ticket by a strategy's name, (tickets,).

    Raises:
        UsageError: for an unknown name, or a strategy that needs what the pool lacks.

    >>> from tagdesk.policy import Policy
    >>> doubt_of(Pool(np.array([[0.5]], dtype=np.float32), Policy.uniform(["A"], 0.5)), "margin").tolist()
    [1.0]
    """
    if strategy not in STRATEGIES:
        raise UsageError(
            f"Strategy {strategy[:40]!r} is unknown; expected one of {', '.join(STRATEGIES)}.", code="unknown_strategy"
        )
    return STRATEGIES[strategy](pool) if len(pool) else np.zeros(0)


def most_doubtful(doubt: FloatArray, n: int) -> IntArray:
    """Places of the n highest doubts, best first; ties keep their order.

    >>> most_doubtful(np.array([0.1, 0.9, 0.9]), 2).tolist()
    [1, 2]
    """
    if np.isnan(doubt).any():
        raise ValueError("A doubt is not a number.")
    return np.argsort(-doubt, kind="stable")[:n]


def _mix(pool: Pool) -> FloatArray:
    """Three views of doubt in one; where tickets carry one label each, how close the second-best one comes."""
    cuts = pool.policy.suggest
    seen = pool.labelled
    if seen is not None and len(seen) >= FEWEST_SEEN and (seen.sum(axis=1) == 1).mean() >= ONE_EACH:
        return runner_up(pool.probs, cuts)
    return borda(weakest_call(pool.probs, cuts), close_calls(pool.probs, cuts), _cvirs(pool))


def _cvirs(pool: Pool) -> FloatArray:
    none_yet = np.zeros((0, pool.probs.shape[1]), dtype=np.bool_)
    return cvirs(pool.probs, pool.policy.suggest, none_yet if pool.labelled is None else pool.labelled)


def _out_of_scope(pool: Pool) -> FloatArray:
    if pool.none is None:
        raise UsageError(
            'Strategy "out_of_scope" needs a model that has learned "none of these" from tickets without a label. '
            "Choose another strategy.",
            code="needs_none",
        )
    return out_of_scope(pool.none, pool.policy.out_of_scope)


def _novelty(pool: Pool) -> FloatArray:
    if pool.embeddings is None:
        raise UsageError('Strategy "novelty" needs embeddings. Choose another strategy.', code="needs_embeddings")
    others = pool.labelled_embeddings
    return novelty(pool.embeddings, pool.embeddings[:0] if others is None else others)


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "mix": _mix,
        "margin": lambda pool: margin(pool.probs, pool.policy.suggest),
        "weakest_call": lambda pool: weakest_call(pool.probs, pool.policy.suggest),
        "runner_up": lambda pool: runner_up(pool.probs, pool.policy.suggest),
        "close_calls": lambda pool: close_calls(pool.probs, pool.policy.suggest),
        "mean_entropy": lambda pool: mean_entropy(pool.probs),
        "max_entropy": lambda pool: max_entropy(pool.probs),
        "cardinality": lambda pool: cardinality(pool.probs, pool.policy.suggest),
        "cvirs": _cvirs,
        "out_of_scope": _out_of_scope,
        "novelty": _novelty,
    }
)
DEFAULT = "mix"


def _log_odds(probs: Probs | Thresholds) -> FloatArray:
    inside = np.clip(probs.astype(np.float64), LEAST, 1 - LEAST)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _entropy(probs: Probs | FloatArray) -> FloatArray:
    """Binary entropy in bits, of the same shape."""
    inside = np.clip(probs.astype(np.float64), LEAST, 1 - LEAST)
    return np.asarray(-(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside)))


def _inconsistency(decided: Targets, labelled: Targets) -> FloatArray:
    """The mean distance of each decided label set to the labelled ones, (tickets,); sets that repeat are met once."""
    if not len(labelled) or not len(decided):
        return np.ones(len(decided))
    sets, which = np.unique(decided, axis=0, return_inverse=True)
    given, times = np.unique(labelled, axis=0, return_counts=True)
    frequent = np.argsort(-times, kind="stable")[:MOST_SETS]
    given, times = given[frequent], times[frequent]
    mean = np.zeros(len(sets))
    for start in range(0, len(sets), BLOCK):
        mean[start : start + BLOCK] = _distances(sets[start : start + BLOCK], given) @ times / times.sum()
    return np.maximum(mean, LEAST)[which.ravel()]


def _distances(left: Targets, right: Targets) -> FloatArray:
    """Between label sets as `cvirs` tells, (left, right), in 0..1."""
    both = (left.astype(np.float32) @ right.T.astype(np.float32)).astype(np.int64)
    first, second = left.sum(axis=1, dtype=np.int64), right.sum(axis=1, dtype=np.int64)
    # Two sets are as far apart as any others of their sizes that have as many labels in common.
    table = _distances_by_size(int(first.max()), int(second.max()), left.shape[1])
    return np.asarray(table[first[:, np.newaxis], second, both])


def _distances_by_size(first: int, second: int, labels: int) -> FloatArray:
    """Between sets of up to so many labels, (first + 1, second + 1, labels in common + 1)."""
    sizes = np.ogrid[: first + 1, : second + 1, : min(first, second) + 1]
    one, other, both = (np.asarray(size, dtype=np.float64) / labels for size in sizes)
    cells = (both, one - both, other - both, 1 + both - one - other)
    joint = sum(-cell * np.log2(np.maximum(cell, LEAST)) for cell in cells)
    apart = 2 * joint - _entropy(one) - _entropy(other)
    share = np.divide(apart, joint, out=np.zeros_like(joint), where=joint > LEAST)
    return np.where(np.isclose(one + other - 2 * both, 1), 1.0, np.clip(share, 0, 1))
