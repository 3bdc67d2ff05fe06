"""The figures that say what a model is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, TypeAlias

Interval: TypeAlias = tuple[float, float]  # low, high


class Pair(NamedTuple):
    """Two labels and the number of tickets in which they meet."""

    first: str
    second: str
    tickets: int


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """What a model is worth for one label.

    Attributes:
        precision: share of the tickets given this label that deserve it; None if it was given to none.
        recall: share of the tickets that deserve it that got it; None if none deserves it.
        f1: their harmonic mean, 0 where one of them is undefined; None if the label was neither given nor deserved.
        support: labelled tickets that deserve it.
        predicted: tickets that got it, labelled or not.
        average_precision: area under the stepped precision-recall curve; None without support.
        ece: expected calibration error, see `tagdesk.evaluate.ece`.
        brier: mean squared distance between score and truth.
        f1_interval: bootstrap interval of `f1` over the resamples in which it is defined.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    predicted: int
    average_precision: float | None
    ece: float | None
    brier: float | None
    f1_interval: Interval | None = None

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON holds them."""
        return {**asdict(self), "f1_interval": list(self.f1_interval) if self.f1_interval else None}


@dataclass(frozen=True, slots=True)
class Report:
    """What a model is worth: per label and overall, with intervals. Figures that are undefined are None.

    Attributes:
        names: the labels in order.
        n: tickets, labelled or not.
        n_labelled: tickets whose labels are known; all figures but `no_label_rate` and `predicted` are over these.
        exact_match: share of tickets with exactly the true labels.
        hamming_loss: share of wrong yes-or-no answers over all tickets and labels.
        precision_micro: of all labels given, the share that is true; recall and F1 alike.
        precision_macro: mean over labels; as in scikit-learn with zero_division=0 a label whose own figure is undefined
            counts as 0, even one that is neither given nor deserved. None where no label has a defined figure.
        precision_weighted: mean over labels weighted by support.
        average_precision_macro: mean over the labels that have support.
        hit_at_1: share of tickets with at least one true label whose highest score is that of a true label.
        no_label_rate: share of all tickets for which nothing is decided.
        false_alarm_rate: share of tickets that deserve no label and got one.
        refused_rate: share of tickets with at least one true label that were called out of scope.
        ece: mean over labels of the expected calibration error.
        brier: mean over labels of the Brier score.
        per_label: the figures of each label, in order.
        intervals: bootstrap percentile intervals by name of the figure.
        confidence: of the intervals.
        resamples: of the bootstrap.
        cooccurrence: (labels, labels), tickets that deserve both; the diagonal is the support.
        confusion: (labels, labels), tickets in which the row's label was missed and the column's wrongly given.
    """

    names: tuple[str, ...]
    n: int
    n_labelled: int
    exact_match: float | None
    hamming_loss: float | None
    precision_micro: float | None
    recall_micro: float | None
    f1_micro: float | None
    precision_macro: float | None
    recall_macro: float | None
    f1_macro: float | None
    precision_weighted: float | None
    recall_weighted: float | None
    f1_weighted: float | None
    average_precision_macro: float | None
    hit_at_1: float | None
    no_label_rate: float | None
    false_alarm_rate: float | None
    refused_rate: float | None
    ece: float | None
    brier: float | None
    per_label: Mapping[str, LabelFigures]
    intervals: Mapping[str, Interval | None]
    confidence: float
    resamples: int
    cooccurrence: tuple[tuple[int, ...], ...]
    confusion: tuple[tuple[int, ...], ...]

    def together(self) -> list[Pair]:
        """Pairs of labels that the same tickets deserve, most frequent first."""
        size = range(len(self.names))
        return self._pairs([(i, j, self.cooccurrence[i][j]) for i in size for j in size if i < j])

    def confused(self) -> list[Pair]:
        """Pairs of a label that was missed and one that was wrongly given instead, most frequent first."""
        size = range(len(self.names))
        return self._pairs([(i, j, self.confusion[i][j]) for i in size for j in size])

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON holds it; of the pairs of labels only those that occur, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            **values,
            "names": list(self.names),
            "per_label": {name: figures.to_dict() for name, figures in self.per_label.items()},
            "intervals": {name: list(pair) if pair else None for name, pair in self.intervals.items()},
            "cooccurrence": self._by_name(self.cooccurrence),
            "confusion": self._by_name(self.confusion),
        }

    def _pairs(self, cells: list[tuple[int, int, int]]) -> list[Pair]:
        pairs = [Pair(self.names[i], self.names[j], count) for i, j, count in cells if count]
        return sorted(pairs, key=lambda pair: -pair.tickets)

    def _by_name(self, counts: tuple[tuple[int, ...], ...]) -> dict[str, dict[str, int]]:
        return {
            name: {other: count for other, count in zip(self.names, row, strict=True) if count}
            for name, row in zip(self.names, counts, strict=True)
        }
