"""How far scores can be believed, as functions of the score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray, IntArray, Probs, Targets
from tagdesk.evaluate.ratios import ratio


@dataclass(frozen=True, slots=True)
class Reliability:
    """Scores of each label in bins of equal width; where a bin is empty its means are NaN.

    Attributes:
        predicted: (labels, bins), mean score.
        positive: (labels, bins), share of tickets that deserve the label.
        count: (labels, bins), tickets.
    """

    predicted: FloatArray
    positive: FloatArray
    count: IntArray


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Precision at every recall that a threshold can reach, for one label.

    Attributes:
        precision: (points,).
        recall: (points,), falling to 0.
    """

    precision: FloatArray
    recall: FloatArray


def reliability(targets: Targets, probs: Probs, bins: int = 10) -> Reliability:
    """Sort scores into bins (0, 1/bins], (1/bins, 2/bins], ... with 0 in the first.

    >>> curve = reliability(np.array([[True], [False]]), np.array([[0.9], [0.7]], dtype=np.float32), bins=2)
    >>> curve.count.tolist(), curve.predicted.round(2).tolist(), curve.positive.tolist()
    ([[0, 2]], [[nan, 0.8]], [[nan, 0.5]])
    """
    labels = probs.shape[1]
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    # One flat number for each cell (label, bin) lets one count serve all labels.
    cell = (np.searchsorted(inner_edges, probs.astype(np.float64)) + np.arange(labels) * bins).ravel()
    size, shape = labels * bins, (labels, bins)
    count: IntArray = np.bincount(cell, minlength=size).reshape(shape)
    scores = np.bincount(cell, weights=probs.ravel(), minlength=size).reshape(shape)
    positives = np.bincount(cell, weights=targets.ravel(), minlength=size).reshape(shape)
    return Reliability(ratio(scores, count), ratio(positives, count), count)


def ece(targets: Targets, probs: Probs, bins: int = 10) -> FloatArray:
    """Expected calibration error of each label, (labels,): 0 is perfect, 1 the worst; NaN without tickets.

    The distance between the mean score in a bin and the share of positives in it, averaged over `bins` bins of equal
    width, weighted by their tickets. Naeini, Cooper and Hauskrecht, AAAI 2015; Guo et al., ICML 2017, equation 3, here
    for each label's probability rather than for the confidence in the top class.

    >>> ece(np.array([[True], [False]]), np.array([[0.75], [0.75]], dtype=np.float32)).tolist()
    [0.25]
    """
    curve = reliability(targets, probs, bins)
    distance = np.nan_to_num(np.abs(curve.predicted - curve.positive))
    return ratio((curve.count * distance).sum(axis=1), curve.count.sum(axis=1))


def brier(targets: Targets, probs: Probs) -> FloatArray:
    """Brier score of each label, (labels,): mean squared distance between score and truth; NaN without tickets.

    >>> brier(np.array([[True], [False]]), np.array([[0.5], [0.5]], dtype=np.float32)).tolist()
    [0.25]
    """
    squares = np.square(probs.astype(np.float64) - targets)
    return ratio(squares.sum(axis=0), np.full(probs.shape[1], len(probs)))


def precision_recall(targets: BoolArray, probs: Probs) -> PrecisionRecall:
    """The curve of one label from its columns (tickets,); at least one ticket must deserve the label.

    >>> precision_recall(np.array([True, False]), np.array([0.9, 0.1], dtype=np.float32)).recall.tolist()
    [1.0, 1.0, 0.0]
    """
    from sklearn.metrics import precision_recall_curve  # noqa: PLC0415 - slow to import

    precision, recall, _ = precision_recall_curve(targets, probs)
    return PrecisionRecall(precision, recall)
