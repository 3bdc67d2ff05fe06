"""Figures of one model in many resamples of the same tickets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray, IntArray, Probs, Targets
from tagdesk.evaluate import bootstrap
from tagdesk.evaluate.ratios import ratio

OF_DECISIONS = ("exact_match", "f1_micro", "f1_macro", "hamming_loss")
OF_PROBS = ("average_precision_macro", "ece")
BINS = 10  # of the expected calibration error, as in `tagdesk.evaluate.ece`

_CELLS = 4_000_000  # drawn at a time: 32 MB


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How tickets are drawn anew: `resamples` times, and which share of the outcomes an interval holds."""

    seed: int = 0
    resamples: int = 2000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 1 or not 0 < self.confidence < 1:
            raise ValueError(
                f"resamples {self.resamples}, confidence {self.confidence}: expected at least 1, and between 0 and 1."
            )

    def interval(self, values: FloatArray) -> tuple[float, float] | None:
        """The percentile interval of one figure, (resamples,); None where it is undefined in all of them."""
        defined = values[~np.isnan(values)]
        if not len(defined):
            return None
        low, high = np.quantile(defined, [(1 - self.confidence) / 2, (1 + self.confidence) / 2])
        return float(low), float(high)


def draws(units: IntArray, rows: IntArray, how: Bootstrap) -> Iterator[FloatArray]:
    """How often each row of outcomes occurs when as many units are drawn anew: blocks of (resamples, rows).

    Args:
        units: (tickets,), the number of each ticket's unit, from 0 up without a gap.
        rows: (tickets,), the number of the ticket's outcome, likewise.
        how: the seed and the number of resamples, over all blocks.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 - slow to import

    n_units, n_rows = int(units.max(initial=-1)) + 1, int(rows.max(initial=-1)) + 1
    if not n_units:
        return
    held = coo_array((np.ones(len(units)), (units, rows)), shape=(n_units, n_rows)).tocsr()
    # Units that hold the same are one, drawn as often: cost follows variety rather than volume.
    kinds, times = _kinds(held)
    generator, block = np.random.default_rng(how.seed), max(1, _CELLS // max(len(kinds), n_rows))
    for start in range(0, how.resamples, block):
        drawn = generator.multinomial(n_units, times / n_units, size=min(block, how.resamples - start))
        yield np.asarray(drawn.astype(np.float64) @ held[kinds])


def figures_of(
    names: Sequence[str], targets: Targets, decided: BoolArray, probs: Probs | None, weights: FloatArray
) -> dict[str, FloatArray]:
    """The figures of those names, each (resamples,), NaN where undefined; the same as a `Report` gives them.

    Args:
        names: some of `OF_DECISIONS` and `OF_PROBS`.
        targets: (rows, labels).
        decided: (rows, labels).
        probs: (rows, labels); None where no name needs them.
        weights: (resamples, rows), how often each row occurs.
    """
    found: dict[str, FloatArray] = {}
    if any(name in OF_DECISIONS for name in names):
        no_hits = np.zeros(len(targets), dtype=np.bool_)
        found |= bootstrap.figures(targets, decided, no_hits, weights.astype(np.int64)).overall
    if probs is not None and "average_precision_macro" in names:
        found["average_precision_macro"] = average_precision_macro(targets, probs, weights)
    if probs is not None and "ece" in names:
        found["ece"] = ece(targets, probs, weights)
    return {name: found[name] for name in names}


def average_precision_macro(targets: Targets, probs: Probs, weights: FloatArray) -> FloatArray:
    """Mean over the labels that occur of the average precision, (resamples,); NaN where none does.

    Average precision is the sum of the precision at every score, weighted by the recall that is gained there.
    """
    total, defined = np.zeros(len(weights)), np.zeros(len(weights))
    by_row = np.ascontiguousarray(weights.T)
    for label in np.flatnonzero(targets.any(axis=0)):
        order = np.argsort(-probs[:, label], kind="stable")
        scores, true = probs[order, label], targets[order, label]
        # Only where a positive stands among equal scores can recall be gained; all before it is one segment.
        ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
        ends = ends[np.add.reduceat(true.astype(np.int64), np.append(0, ends[:-1] + 1)) > 0]
        starts = np.append(0, ends[:-1] + 1)
        found = by_row[order]
        given = np.add.reduceat(found[: ends[-1] + 1], starts, axis=0).cumsum(axis=0)
        gained = np.add.reduceat(found[: ends[-1] + 1] * true[: ends[-1] + 1, np.newaxis], starts, axis=0)
        precision = np.nan_to_num(ratio(gained.cumsum(axis=0), given))
        value = ratio((gained * precision).sum(axis=0), gained.sum(axis=0))
        total += np.nan_to_num(value)
        defined += ~np.isnan(value)
    return ratio(total, defined)


def ece(targets: Targets, probs: Probs, weights: FloatArray) -> FloatArray:
    """Mean over labels of the expected calibration error, (resamples,); see `tagdesk.evaluate.ece`."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - slow to import

    tickets, labels = probs.shape
    inner_edges = np.linspace(0, 1, BINS + 1)[1:-1]
    cells = np.searchsorted(inner_edges, probs.astype(np.float64)) + np.arange(labels) * BINS
    # In a bin the count times the distance of the means is the distance of the sums.
    over = (probs.astype(np.float64) - targets).ravel()
    sums = csr_array((over, cells.ravel(), np.arange(0, over.size + 1, labels)), shape=(tickets, labels * BINS))
    return ratio(np.abs(weights @ sums).sum(axis=1) / labels, weights.sum(axis=1))


def _kinds(held: Any) -> tuple[IntArray, IntArray]:
    """The first of the rows of a sparse table that hold the same, and how many there are of each, both (kinds,)."""
    held.sum_duplicates()
    if held.nnz == held.shape[0] and (held.data == 1).all():  # one ticket in every unit
        _, first, counts = np.unique(held.indices, return_index=True, return_counts=True)
        return first, counts
    contents: dict[bytes, list[int]] = {}
    for row, (start, end) in enumerate(pairwise(held.indptr.tolist())):
        key = held.indices[start:end].tobytes() + held.data[start:end].tobytes()
        contents.setdefault(key, []).append(row)
    alike = contents.values()
    return np.array([rows[0] for rows in alike], dtype=np.int64), np.array([len(rows) for rows in alike])
