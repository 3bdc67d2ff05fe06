"""Finds how often chance sets two models so far apart, by swapping their answers."""

from __future__ import annotations

import numpy as np

from tagdesk.arrays import FloatArray, IntArray
from tagdesk.compare.pairs import Pairs
from tagdesk.evaluate.ratios import ratio

SWAPS = 9_999  # a p-value of 0.0001 is the smallest that they can give

_CELLS = 4_000_000


def label_p_values(pairs: Pairs, seed: int = 0, swaps: int = SWAPS) -> tuple[FloatArray, FloatArray]:
    """p-values of the differences in F1 and in recall, each (labels,); NaN where a difference is undefined.

    Were the two models alike, it would be all the same which of them gave which answer to a unit. So the answers to
    each unit are swapped or not, at random, and the p-value is the share of such draws in which the two come to lie
    as far apart as they do, the observed one counted in. It is two-sided, and exact but for the number of draws.
    Source: Noreen (1989), "Computer-intensive methods for testing hypotheses"; Yeh (2000), "More accurate tests for
    the statistical significance of result differences".

    Args:
        pairs: the answers of both.
        seed: of the swaps.
        swaps: how many draws.
    """
    true, current, challenger = pairs.targets, pairs.current.decided, pairs.challenger.decided
    hits = np.stack([true & current, true & challenger]).astype(np.float64)  # (models, tickets, labels)
    given = np.stack([current, challenger]).astype(np.float64)
    kinds, times = _kinds(hits[1] - hits[0], given[1] - given[0], pairs.unit_codes)
    deserved = true.sum(axis=0).astype(np.float64)
    middle_hits, middle_given = hits.sum(axis=(0, 1)) / 2, given.sum(axis=(0, 1)) / 2
    labels = true.shape[1]

    def apart(signs: FloatArray) -> tuple[FloatArray, FloatArray]:
        half = signs @ kinds / 2  # (draws, 2 * labels)
        f1 = [
            ratio(2 * (middle_hits + way * half[:, :labels]), middle_given + way * half[:, labels:] + deserved)
            for way in (1, -1)
        ]
        return np.abs(f1[0] - f1[1]), np.abs(
            ratio(2 * half[:, :labels], np.broadcast_to(deserved, (len(half), labels)))
        )

    observed = apart(times[np.newaxis].astype(np.float64))
    generator, block = np.random.default_rng(seed), max(1, _CELLS // max(1, len(kinds)))
    further = [np.ones(labels), np.ones(labels)]
    for start in range(0, swaps, block):
        size = (min(block, swaps - start), len(kinds))
        found = apart((2 * generator.binomial(times, 0.5, size=size) - times).astype(np.float64))
        for number in (0, 1):
            # Draws that lie as far apart but for rounding count; so do those in which F1 is undefined.
            further[number] += (~(found[number] < observed[number] - 1e-12)).sum(axis=0)
    f1, recall = (
        np.where(np.isnan(seen[0]), np.nan, counts / (swaps + 1))
        for seen, counts in zip(observed, further, strict=True)
    )
    return f1, recall


def _kinds(hits: FloatArray, given: FloatArray, units: IntArray) -> tuple[FloatArray, IntArray]:
    """What distinct units change, (kinds, 2 * labels), and how many units change it, (kinds,); none that change naught.

    Args:
        hits: (tickets, labels), the challenger's hits less the current model's.
        given: (tickets, labels), likewise of the labels they give.
        units: (tickets,).
    """
    changes = np.hstack([hits, given])
    changed = np.flatnonzero(changes.any(axis=1))
    _, own = np.unique(units[changed], return_inverse=True)
    by_unit = np.zeros((int(own.max(initial=-1)) + 1, changes.shape[1]))
    np.add.at(by_unit, own, changes[changed])
    by_unit = by_unit[by_unit.any(axis=1)]
    if not len(by_unit):
        return by_unit, np.zeros(0, dtype=np.int64)
    kinds, times = np.unique(by_unit, axis=0, return_counts=True)
    return kinds, times
