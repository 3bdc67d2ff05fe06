"""Whether the tickets of two windows can be told apart by their embeddings."""

from __future__ import annotations

import math

import numpy as np

from tagdesk.arrays import BoolArray, Embeddings, FloatArray, IntArray
from tagdesk.drift.difference import Difference
from tagdesk.drift.settings import Settings

FOLDS = 5
STIFFNESS = 30.0  # of the classifier's ridge penalty, in mean eigenvalues
CHANCE = 0.5
_Z = 1.959964  # 95 % of a normal distribution lie between -z and z


def told_apart(reference: Embeddings, current: Embeddings, settings: Settings) -> Difference:
    """In what share of pairs a classifier tells the newer ticket from the older, where chance would in one half.

    A classifier two-sample test (Lopez-Paz and Oquab 2017): a linear classifier learns which window a ticket is of, and
    judges tickets that it has not learned from. Least squares with a ridge penalty stand in for logistic regression:
    they answer as well, and all permutations of the tickets in one stroke, so that the p-value is exact. The asymptotic
    one alarms too often, because tickets that were judged by the same classifier are not independent.

    Args:
        reference: (embedded, width), at least `FOLDS` of them.
        current: (embedded, width), likewise.
        settings: how many are drawn from more, how many permutations, and the seed.

    >>> generator = np.random.default_rng(0)
    >>> before, now = generator.normal(size=(2, 150, 4)).astype(np.float32)
    >>> told_apart(before, now, Settings()).p > 0.05, told_apart(before, now + 1, Settings()).p
    (True, 0.002)
    """
    generator = np.random.default_rng(settings.seed)
    before, now = (_drawn(each, settings.embedded, generator) for each in (reference, current))
    vectors = _directions(np.concatenate([before, now]).astype(np.float64))
    is_new = np.arange(len(vectors)) >= len(before)
    owners = np.tile(is_new, (settings.permutations + 1, 1))
    owners[1:] = generator.permuted(owners[1:], axis=1)
    guesses = _cross_fitted(vectors, owners.T.astype(np.float64), _folds(vectors, generator))
    found = _pairs_right(guesses, owners.T)
    least = found[0] - 1e-9  # what differs by rounding is equal
    p = float((found >= least).mean())  # the windows as they are count as one of the permutations
    half = _Z * _error(guesses[:, 0], is_new)
    effect = float(found[0]) - CHANCE
    return Difference(CHANCE, float(found[0]), effect - half, effect + half, p)


def _drawn(vectors: Embeddings, most: int, generator: np.random.Generator) -> Embeddings:
    return vectors if len(vectors) <= most else vectors[generator.choice(len(vectors), most, replace=False)]


def _directions(vectors: FloatArray) -> FloatArray:
    """The vectors as seen from their middle, each of length 1: what all tickets share says nothing of a window."""
    away = vectors - vectors.mean(axis=0)
    lengths = np.linalg.norm(away, axis=1, keepdims=True)
    directions: FloatArray = np.divide(away, lengths, out=np.zeros_like(away), where=lengths > 0)
    return directions


def _folds(vectors: FloatArray, generator: np.random.Generator) -> IntArray:
    """The fold of each vector, (tickets,), the same for equal ones: a text of both windows must not be learned."""
    _, alike = np.unique(vectors.round(6), axis=0, return_inverse=True)
    folds: IntArray = generator.permutation(int(alike.max()) + 1)[alike.reshape(len(vectors))] % FOLDS
    return folds


def _cross_fitted(vectors: FloatArray, owners: FloatArray, folds: IntArray) -> FloatArray:
    """How much each ticket looks like one of those owned, (tickets, permutations), by those of the other folds."""
    guesses = np.zeros_like(owners)
    for fold in np.unique(folds):
        others, own = vectors[folds != fold], folds == fold
        if not len(others):  # all tickets are alike
            continue
        centre = others.mean(axis=0)
        seen, wanted = others - centre, owners[folds != fold]
        products = seen.T @ seen
        penalty = STIFFNESS * float(np.trace(products)) / len(products) or 1.0
        products[np.diag_indices_from(products)] += penalty
        guesses[own] = (vectors[own] - centre) @ np.linalg.solve(products, seen.T @ (wanted - wanted.mean(axis=0)))
    return guesses


def _pairs_right(guesses: FloatArray, owners: BoolArray) -> FloatArray:
    """Share of the pairs of an owned and another ticket that are guessed in this order, (permutations,); ties half."""
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    owned = owners.sum(axis=0)
    above = (rankdata(guesses, axis=0) * owners).sum(axis=0) - owned * (owned + 1) / 2
    shares: FloatArray = above / (owned * (len(owners) - owned))
    return shares


def _error(guesses: FloatArray, is_new: BoolArray) -> float:
    """The standard error of the share of pairs that are right (DeLong et al. 1988)."""
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    ranks = rankdata(guesses)
    variance = 0.0
    for side in (is_new, ~is_new):
        beaten = (ranks[side] - rankdata(guesses[side])) / (~side).sum()
        variance += float(beaten.var(ddof=1)) / float(side.sum())
    return math.sqrt(variance)
