"""Says which labels of a prediction are explained."""

from __future__ import annotations

from collections.abc import Sequence

from tagdesk.errors import UsageError
from tagdesk.explain.values import NONE
from tagdesk.prediction import Prediction

MOST_LABELS = 5  # that are explained at once
WITHOUT = 2  # best guesses that are explained where a ticket got no label


def choose_labels(prediction: Prediction, labels: Sequence[str] | None = None) -> tuple[str, ...]:
    """The labels to explain: those asked for, else those that the model gave, else its best two; at most five.

    `NONE` comes first where the model called the ticket out of scope; it can be asked for where the model knows scope.
    Raises UsageError for a label that the model does not know, and for more than five.

    >>> from tagdesk.prediction import Decision
    >>> choose_labels(Prediction("hi", (), {"A": 0.2, "B": 0.3, "C": 0.1}, {}, "m", "p"))
    ('B', 'A')
    """
    knows_none = prediction.out_of_scope is not None and NONE not in prediction.scores
    if labels is None:
        refused = [NONE] if knows_none and "out_of_scope" in prediction.flags else []
        best = sorted(prediction.scores, key=lambda label: -prediction.scores[label])[:WITHOUT]
        return tuple([*refused, *(prediction.labels or best)][:MOST_LABELS])
    known = [*prediction.scores, *([NONE] if knows_none else [])]
    wanted = tuple(dict.fromkeys(labels))
    if not set(wanted) <= set(known):
        raise UsageError(
            f"A label is asked for that the model does not know; known: {', '.join(known)}.", code="unknown_label"
        )
    if len(wanted) > MOST_LABELS:
        raise UsageError(f"{len(wanted)} labels; at most {MOST_LABELS} are explained at once.", code="too_many_labels")
    return wanted


def scores_of(prediction: Prediction, labels: Sequence[str]) -> list[float]:
    """The probabilities of labels, `NONE` among them."""
    return [prediction.scores.get(label, prediction.out_of_scope or 0.0) for label in labels]


def columns_of(prediction: Prediction, labels: Sequence[str]) -> list[int]:
    """The scorer's columns of labels: `NONE` stands behind those of the taxonomy."""
    column = {label: place for place, label in enumerate(prediction.scores)}
    return [column.get(label, len(column)) for label in labels]
