"""Compares two models label by label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray
from tagdesk.compare.correction import corrected
from tagdesk.compare.paired import blind_to
from tagdesk.compare.pairs import Pairs
from tagdesk.compare.resampled import Bootstrap, draws
from tagdesk.compare.swaps import label_p_values
from tagdesk.compare.verdict import Difference, Figure
from tagdesk.evaluate.ratios import defined, ratio


@dataclass(frozen=True, slots=True)
class LabelDifference:
    """How far two models are apart on one label.

    `f1` and `recall` carry p-values corrected for the number of labels (Holm); their intervals are those of one label
    alone. Where the corrected p-value shows nothing, their `doubt` says so.
    """

    label: str
    support: int
    f1: Difference
    recall: Difference


def by_label(pairs: Pairs, how: Bootstrap | None = None) -> list[LabelDifference]:
    """F1 and recall of each label, challenger minus current, in the order of the names.

    Recall is undefined for a label that no ticket deserves, F1 where one of the models never gives it either.

    >>> from tagdesk.compare.pairs import Answers
    >>> true = np.array([[True, False]] * 40)
    >>> found = by_label(Pairs(true, Answers(~true), Answers(true), ("A", "B")))
    >>> found[0].recall.value, found[0].recall.p, found[1].recall.value
    (1.0, 0.0001, None)
    """
    how = how or Bootstrap()
    here = pairs.challenger.decided | pairs.current.decided | pairs.targets
    n_units = int(pairs.unit_codes.max(initial=-1)) + 1
    spread = _spread(pairs, how)
    once = [
        _figures(pairs.targets, said.decided, np.ones((1, len(here)))) for said in (pairs.current, pairs.challenger)
    ]
    found: list[list[Difference]] = []
    for number, (kind, p_values) in enumerate(zip(("f1", "recall"), label_p_values(pairs, how.seed), strict=True)):
        plain = []
        for label, name in enumerate(pairs.names):
            current, challenger = (defined(figures[number][0, label]) for figures in once)
            is_defined = current is not None and challenger is not None
            plain.append(
                Difference(
                    Figure(f"{kind}:{name}", f"{'F1' if kind == 'f1' else kind} of {name}"),
                    current,
                    challenger,
                    how.interval(spread[number][:, label]) if is_defined else None,
                    n_units,
                    how.confidence,
                    p=defined(p_values[label]),
                    doubt="" if is_defined else "no ticket deserves it, or a model never gives it",
                    blind_to=blind_to(n_units, how.confidence),
                )
            )
        found.append(corrected(plain))
    support = pairs.targets.sum(axis=0).tolist()
    return [LabelDifference(*row) for row in zip(pairs.names, support, *found, strict=True)]


def _spread(pairs: Pairs, how: Bootstrap) -> tuple[FloatArray, FloatArray]:
    """Differences in F1 and in recall in every resample, each (resamples, labels)."""
    cells = np.hstack([pairs.targets, pairs.current.decided, pairs.challenger.decided])
    if not len(cells):
        nothing = np.empty((0, len(pairs.names)))
        return nothing, nothing
    _, first, rows = np.unique(np.packbits(cells, axis=1), axis=0, return_index=True, return_inverse=True)
    parts: list[tuple[FloatArray, ...]] = []
    for weights in draws(pairs.unit_codes, rows.ravel(), how):
        both = [
            _figures(pairs.targets[first], said.decided[first], weights) for said in (pairs.current, pairs.challenger)
        ]
        parts.append(tuple(theirs - ours for ours, theirs in zip(*both, strict=True)))
    f1, recall = (np.concatenate([part[number] for part in parts]) for number in (0, 1))
    return f1, recall


def _figures(targets: BoolArray, decided: BoolArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """F1 and recall in every resample, each (resamples, labels), from weights (resamples, rows)."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - slow to import

    deserved, given, both = (
        weights @ csr_array(cells).astype(np.float64) for cells in (targets, decided, targets & decided)
    )
    return ratio(2 * both, deserved + given), ratio(both, deserved)
