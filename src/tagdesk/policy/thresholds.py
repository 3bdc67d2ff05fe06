"""Finds the thresholds that serve an objective; why in this way: docs/decisions/0004-thresholds.md."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray, IntArray, Probs, Targets, Thresholds
from tagdesk.policy.objective import Objective

RARE = 5  # positives; a label with fewer takes the common threshold
SWEEPS = 20  # of coordinate ascent, at most
GRID = np.arange(1, 100) / 100  # where a common threshold is looked for
DOUBT = 0.025  # of each bound on precision; half of what is promised, because the lowest of many cuts is taken


class Cuts(NamedTuple):
    """What each possible threshold of one label would give, from the highest to the lowest; each (cuts,)."""

    thresholds: Thresholds
    hits: IntArray  # labels given rightly
    misses: IntArray  # labels given wrongly


def cuts_between(targets: BoolArray, scores: Probs, counted: BoolArray | None = None) -> Cuts:
    """Cut one label's scores (tickets,) midway between neighbours; tickets that are not `counted` only make cuts.

    >>> cuts = cuts_between(np.array([True, False]), np.array([0.75, 0.25], dtype=np.float32))
    >>> cuts.thresholds.tolist(), cuts.hits.tolist(), cuts.misses.tolist()
    ([0.5, 0.125], [1, 1], [0, 1])
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype(np.float64)
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)])  # last ticket of each score
    higher, lower = ranked[ends], np.append(ranked[ends][1:], 0.0)[: len(ends)]
    middle = ((higher + lower) / 2).astype(np.float32).astype(np.float64)
    # Scores are float32: between two that touch there is no middle, and the higher one is the cut.
    thresholds = np.where(middle > lower, middle, higher)
    weight = np.ones(len(order), dtype=np.bool_) if counted is None else counted[order]
    hits, misses = (np.cumsum(which & weight, dtype=np.int64)[ends] for which in (targets[order], ~targets[order]))
    return Cuts(thresholds, hits, misses)


def best(targets: Targets, probs: Probs, objective: Objective) -> Thresholds:
    """Thresholds (labels,) for an objective other than a promised precision.

    Halfway between what serves best on these tickets and what their calibrated probabilities imply; a rare label takes
    the one threshold that serves best in common.
    """
    shared = common(targets, probs, objective)
    frequent = targets.sum(axis=0) >= RARE
    seen = observed(targets, probs, objective, np.full(targets.shape[1], shared), np.flatnonzero(frequent))
    return np.where(frequent, (seen + implied(probs, objective, shared)) / 2, shared)


def proven(targets: Targets, probs: Probs, precision: float, floor: Thresholds) -> Thresholds:
    """Per label the lowest threshold, not below `floor`, at which the precision is proven; inf where it is at none.

    Proven means that Clopper and Pearson's lower bound for the tickets above the threshold reaches it.
    """
    from scipy.special import betaincinv  # noqa: PLC0415 - serving never pays for it

    lowest = np.full(targets.shape[1], math.inf)
    for label in range(targets.shape[1]):
        cuts = cuts_between(targets[:, label], probs[:, label])
        bound = betaincinv(np.maximum(cuts.hits, 1), cuts.misses + 1, DOUBT)
        good = (cuts.hits > 0) & (bound >= precision) & (cuts.thresholds >= floor[label])
        if good.any():
            lowest[label] = cuts.thresholds[good][-1]
    return lowest


def worth(targets: Targets, given: BoolArray, objective: Objective) -> float:
    """What the given labels (tickets, labels) are worth under an objective; more is better.

    >>> worth(np.array([[True, False]]), np.array([[True, True]]), Objective("cost", 3.0, 1.0))
    -3.0
    """
    if objective.kind == "exact_match":
        return float((given == targets).all(axis=1).mean()) if len(targets) else 0.0
    hits, misses, missed = ((a & b).sum(axis=0) for a, b in ((given, targets), (given, ~targets), (~given, targets)))
    if objective.kind == "cost":
        return -float(objective.false_positive * misses.sum() + objective.false_negative * missed.sum())
    if objective.kind == "f1_micro":
        hits, misses, missed = (counts.sum(keepdims=True) for counts in (hits, misses, missed))
    per_label = 2 * hits / np.maximum(1, 2 * hits + misses + missed)
    return float(per_label.mean()) if len(per_label) else 0.0


def common(targets: Targets, probs: Probs, objective: Objective) -> float:
    """The one threshold that serves best for all labels; of equally good ones the nearest to 0.5."""
    values = np.array([worth(targets, probs >= np.float32(cut), objective) for cut in GRID])
    return _nearest(GRID[values >= values.max() - 1e-12], 0.5)


def implied(probs: Probs, objective: Objective, shared: float) -> Thresholds:
    """The thresholds (labels,) that would be right if the probabilities were true; `shared` where theory has none."""
    n_labels = probs.shape[1]
    if objective.kind == "cost":
        return np.full(n_labels, objective.false_positive / (objective.false_positive + objective.false_negative))
    if objective.kind == "f1_macro":
        return _best_expected_f1(probs) / 2
    if objective.kind == "f1_micro":
        return np.full(n_labels, _best_expected_f1(probs.reshape(-1, 1))[0] / 2)
    return np.full(n_labels, shared)


def _best_expected_f1(probs: Probs) -> FloatArray:
    """Per column the highest F1 that true probabilities would let one expect; half of it is the threshold for it."""
    if not probs.size:
        return np.ones(probs.shape[1])
    ranked = -np.sort(-probs.astype(np.float64), axis=0)
    given = np.arange(1, len(ranked) + 1)[:, np.newaxis]
    return np.asarray((2 * ranked.cumsum(axis=0) / (given + ranked.sum(axis=0))).max(axis=0))


def observed(targets: Targets, probs: Probs, objective: Objective, start: Thresholds, labels: IntArray) -> Thresholds:
    """The thresholds that serve best on these tickets, found label by label until none can be improved alone."""
    thresholds = start.copy()
    given = probs >= thresholds.astype(np.float32)
    for _ in range(SWEEPS):
        before = thresholds.copy()
        for label in labels:
            cuts, values = _values(targets, probs, given, int(label), objective)
            thresholds[label] = _nearest(cuts.thresholds[values >= values.max() - 1e-12], thresholds[label])
            given[:, label] = probs[:, label] >= np.float32(thresholds[label])
        if np.array_equal(before, thresholds):
            break
    return thresholds


def _values(
    targets: Targets, probs: Probs, given: BoolArray, label: int, objective: Objective
) -> tuple[Cuts, FloatArray]:
    """The cuts of one label with what each is worth, both (cuts,), while the other labels stay as `given`."""
    if objective.kind == "exact_match":  # only tickets on which all other labels are right can be won or lost
        wrong = given != targets
        cuts = cuts_between(targets[:, label], probs[:, label], wrong.sum(axis=1) == wrong[:, label])
        return cuts, (cuts.hits - cuts.misses).astype(np.float64)
    cuts = cuts_between(targets[:, label], probs[:, label])
    if objective.kind == "cost":
        return cuts, objective.false_negative * cuts.hits - objective.false_positive * cuts.misses
    hits, wanted_and_given = cuts.hits, cuts.hits + cuts.misses + targets[:, label].sum()
    if objective.kind == "f1_micro":
        others = np.arange(targets.shape[1]) != label
        hits = hits + (given & targets).sum(axis=0)[others].sum()
        wanted_and_given = wanted_and_given + (given.sum(axis=0) + targets.sum(axis=0))[others].sum()
    return cuts, 2 * hits / wanted_and_given


def _nearest(thresholds: Thresholds, to: float) -> float:
    return float(thresholds[np.argmin(np.abs(thresholds - to))])
