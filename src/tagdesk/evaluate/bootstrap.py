"""How far figures might be off, had other tickets of the same kind been drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray, IntArray, Targets
from tagdesk.evaluate.figures import Interval
from tagdesk.evaluate.ratios import ratio

_CELLS = 4_000_000  # drawn at a time: 32 MB


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals of figures over all labels, by name, with those of F1 for each label in order."""

    overall: dict[str, Interval | None]
    f1: list[Interval | None]


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures in every resample: `overall` by name, each (resamples,), and `f1` (resamples, labels); NaN: undefined."""

    overall: dict[str, FloatArray]
    f1: FloatArray


def intervals(
    targets: Targets, decided: BoolArray, hits: BoolArray, *, seed: int, resamples: int, confidence: float
) -> Intervals:
    """Percentile intervals over resamples of the tickets; None for a figure that is undefined in all of them.

    Args:
        targets: (tickets, labels).
        decided: (tickets, labels).
        hits: (tickets,), whether the highest score is that of a true label.
        seed: of the draws.
        resamples: how many times as many tickets are drawn, with replacement.
        confidence: share of the resamples that lie within.
    """
    if resamples < 0 or not 0 < confidence < 1:
        raise ValueError(f"resamples {resamples}, confidence {confidence}: expected >= 0 and between 0 and 1.")
    rows, times = _distinct(targets, decided, hits)
    targets, decided, hits = targets[rows], decided[rows], hits[rows]
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS // max(1, len(rows)))
    parts = [
        figures(targets, decided, hits, _draw(times, min(block, resamples - start), generator))
        for start in range(0, resamples if len(rows) else 0, block)
    ]
    if not parts:
        return Intervals({}, [None] * targets.shape[1])
    overall = {name: np.concatenate([part.overall[name] for part in parts]) for name in parts[0].overall}
    f1 = np.concatenate([part.f1 for part in parts])
    return Intervals(
        {name: _percentiles(values, confidence) for name, values in overall.items()},
        [_percentiles(column, confidence) for column in f1.T],
    )


def figures(targets: Targets, decided: BoolArray, hits: BoolArray, times: IntArray) -> Figures:
    """Figures when ticket i occurs `times[r, i]` times in resample r; `times` is (resamples, tickets)."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - slow to import

    weights = times.astype(np.float64)
    deserved, given, both = (
        weights @ csr_array(cells).astype(np.float64) for cells in (targets, decided, targets & decided)
    )
    tickets, answers = weights.sum(axis=1), deserved + given
    f1 = ratio(2 * both, answers)
    as_zero = np.nan_to_num(f1)
    overall = {
        "exact_match": ratio(weights @ (targets == decided).all(axis=1), tickets),
        "hamming_loss": ratio((answers - 2 * both).sum(axis=1), tickets * targets.shape[1]),
        "f1_micro": ratio(2 * both.sum(axis=1), answers.sum(axis=1)),
        "f1_macro": np.where(answers.any(axis=1), as_zero.mean(axis=1), np.nan),
        "f1_weighted": ratio((deserved * as_zero).sum(axis=1), deserved.sum(axis=1)),
        "hit_at_1": ratio(weights @ hits, weights @ targets.any(axis=1)),
    }
    return Figures(overall, f1)


def _distinct(targets: Targets, decided: BoolArray, hits: BoolArray) -> tuple[IntArray, IntArray]:
    """First rows of each distinct outcome and how often it occurs, so that cost follows variety rather than volume."""
    outcomes = np.packbits(np.column_stack([targets, decided, hits]), axis=1)
    _, rows, times = np.unique(outcomes, axis=0, return_index=True, return_counts=True)
    return rows, times


def _draw(times: IntArray, resamples: int, generator: np.random.Generator) -> IntArray:
    """How often each outcome occurs when as many tickets are drawn anew, (resamples, outcomes)."""
    tickets = times.sum()
    return generator.multinomial(tickets, times / tickets, size=resamples)


def _percentiles(values: FloatArray, confidence: float) -> Interval | None:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
