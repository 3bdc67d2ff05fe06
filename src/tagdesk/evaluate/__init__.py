"""What a model is worth: its decisions and scores held against the labels that people gave.

Classification figures come from scikit-learn, imported when they are computed. A figure whose denominator is zero is
undefined: None, never NaN and never a made-up 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray, IntArray, Probs, Targets
from tagdesk.evaluate.bootstrap import Intervals, intervals
from tagdesk.evaluate.curves import PrecisionRecall, Reliability, brier, ece, precision_recall, reliability
from tagdesk.evaluate.figures import Interval, LabelFigures, Pair, Report
from tagdesk.evaluate.ratios import defined, mean, ratio

__all__ = [
    "Interval",
    "LabelFigures",
    "Pair",
    "PrecisionRecall",
    "Reliability",
    "Report",
    "brier",
    "ece",
    "evaluate",
    "precision_recall",
    "reliability",
]

_AVERAGES = ("micro", "macro", "weighted")
_NOTHING = (0.0, 0.0, 0.0, None)


def evaluate(  # noqa: PLR0913 - four arrays with names, then how to resample them
    targets: Targets,
    probs: Probs,
    decided: BoolArray,
    names: Sequence[str],
    *,
    known: BoolArray | None = None,
    refused: BoolArray | None = None,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Report:
    """Measure scores and decisions against the labels that people gave.

    Args:
        targets: (tickets, labels), the true labels; rows that are not known are not read.
        probs: (tickets, labels), finite and in 0..1.
        decided: (tickets, labels), True where the model gives the label.
        names: the labels in the order of the columns, each once.
        known: (tickets,), False where nobody labelled the ticket: it is counted in `n`, `no_label_rate` and `predicted`
            and in nothing else. None: all are known.
        refused: (tickets,), True where the model called a ticket out of scope. None: it cannot.
        seed: of the bootstrap.
        resamples: of the bootstrap; 0 leaves the intervals out.
        confidence: of the intervals, between 0 and 1.

    Raises:
        ValueError: for shapes that do not fit each other and scores that are no probabilities.

    >>> targets = np.array([[True, False], [False, True], [True, True]])
    >>> probs = np.array([[0.9, 0.2], [0.1, 0.7], [0.8, 0.4]], dtype=np.float32)
    >>> report = evaluate(targets, probs, probs > 0.5, ["Billing", "Access"])
    >>> round(report.f1_micro, 3), report.per_label["Access"].recall
    (0.857, 0.5)
    """
    targets, decided = np.asarray(targets, dtype=np.bool_), np.asarray(decided, dtype=np.bool_)
    known = np.ones(len(targets), dtype=np.bool_) if known is None else np.asarray(known, dtype=np.bool_)
    _check(targets, probs, decided, names, known)
    true, scores, given = targets[known], probs[known], decided[known]
    spread = intervals(true, given, _hits(true, scores), seed=seed, resamples=resamples, confidence=confidence)
    per_label = _per_label(true, scores, given, names, decided.sum(axis=0), spread)
    return Report(
        names=tuple(names),
        n=len(targets),
        n_labelled=len(true),
        **_overall(true, scores, given),
        no_label_rate=mean(~np.any(decided, axis=1)),
        refused_rate=None if refused is None else mean(refused[known][np.any(true, axis=1)]),
        average_precision_macro=_mean_over(per_label, "average_precision"),
        ece=_mean_over(per_label, "ece"),
        brier=_mean_over(per_label, "brier"),
        per_label=per_label,
        intervals=spread.overall,
        confidence=confidence,
        resamples=resamples,
        cooccurrence=_pairs(true, true),
        confusion=_pairs(true & ~given, given & ~true),
    )


def _overall(true: Targets, probs: Probs, given: BoolArray) -> dict[str, float | None]:
    """The figures over all labels for tickets whose labels are known."""
    from sklearn.metrics import accuracy_score, hamming_loss  # noqa: PLC0415 - slow to import

    labelled = np.any(true, axis=1)
    return {
        "exact_match": float(accuracy_score(true, given)) if len(true) else None,
        "hamming_loss": float(hamming_loss(true, given)) if len(true) else None,
        **_averages(true, given),
        "hit_at_1": mean(_hits(true, probs)[labelled]),
        "false_alarm_rate": mean(np.any(given[~labelled], axis=1)),
    }


def _averages(true: Targets, given: BoolArray) -> dict[str, float | None]:
    """Precision, recall and F1 averaged in three ways; None where no label has one to average."""
    from sklearn.metrics import precision_recall_fscore_support  # noqa: PLC0415 - slow to import

    # One column is a binary problem to scikit-learn: then only its positive class is a label.
    classes = [1] if true.shape[1] == 1 else None
    has = {"precision": given.any(), "recall": true.any(), "f1": given.any() or true.any()}
    figures: dict[str, float | None] = {}
    for average in _AVERAGES:
        can_weigh = average != "weighted" or true.any()
        scores = (
            precision_recall_fscore_support(true, given, labels=classes, average=average, zero_division=0)
            if len(true)
            else _NOTHING
        )
        for kind, score in zip(has, scores, strict=False):  # the fourth is the support
            figures[f"{kind}_{average}"] = float(score) if has[kind] and can_weigh else None
    return figures


def _per_label(
    true: Targets, probs: Probs, given: BoolArray, names: Sequence[str], predicted: IntArray, spread: Intervals
) -> dict[str, LabelFigures]:
    """The figures of each label; NaN becomes None."""
    both, deserved, got = (cells.sum(axis=0) for cells in (true & given, true, given))
    figures = {
        "precision": ratio(both, got),
        "recall": ratio(both, deserved),
        "f1": ratio(2 * both, got + deserved),
        "average_precision": _average_precision(true, probs),
        "ece": ece(true, probs),
        "brier": brier(true, probs),
    }
    return {
        name: LabelFigures(
            **{figure: defined(values[i]) for figure, values in figures.items()},
            support=int(deserved[i]),
            predicted=int(predicted[i]),
            f1_interval=spread.f1[i],
        )
        for i, name in enumerate(names)
    }


def _average_precision(true: Targets, probs: Probs) -> FloatArray:
    """Average precision of each label, (labels,); NaN for a label that no ticket deserves."""
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 - slow to import

    scores = np.full(true.shape[1], np.nan)
    for label in np.flatnonzero(true.any(axis=0)):
        scores[label] = average_precision_score(true[:, label], probs[:, label])
    return scores


def _hits(true: Targets, probs: Probs) -> BoolArray:
    """Whether the highest score is that of a true label, (tickets,); of equal scores the first label counts."""
    hits: BoolArray = true[np.arange(len(true)), probs.argmax(axis=1)]
    return hits


def _pairs(left: BoolArray, right: BoolArray) -> tuple[tuple[int, ...], ...]:
    """In how many tickets label i is in `left` and label j in `right`, (labels, labels); the diagonal counts too."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - slow to import

    # Few labels apply to a ticket, so sparse counting stays quick for a million tickets.
    counts = csr_array(left).astype(np.int64).T @ csr_array(right).astype(np.int64)
    return tuple(tuple(row) for row in counts.toarray().tolist())


def _mean_over(per_label: Mapping[str, LabelFigures], figure: str) -> float | None:
    """The mean of a figure over the labels for which it is defined."""
    return mean(np.array([getattr(label, figure) for label in per_label.values()], dtype=np.float64))


def _check(targets: Targets, probs: Probs, decided: BoolArray, names: Sequence[str], known: BoolArray) -> None:
    if targets.ndim != 2 or not targets.shape == probs.shape == decided.shape:
        raise ValueError(
            f"targets {targets.shape}, probs {probs.shape} and decided {decided.shape}: "
            "expected the same (tickets, labels) for all three."
        )
    if targets.shape[1] == 0 or len(set(names)) != targets.shape[1] or len(names) != targets.shape[1]:
        raise ValueError(
            f"{len(names)} names for {targets.shape[1]} columns: expected at least one, as many, each once."
        )
    if known.shape != (len(targets),):
        raise ValueError(f"known {known.shape}: expected one value per ticket, ({len(targets)},).")
    if not ((probs >= 0) & (probs <= 1)).all():
        raise ValueError("probs: expected finite numbers in 0..1.")
