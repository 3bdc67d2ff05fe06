"""Explains what a model says of tickets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tagdesk.arrays import FloatArray
from tagdesk.calibrate import logit
from tagdesk.explain import (
    Explains,
    Explanation,
    Inquiry,
    Limits,
    Weighed,
    choose_labels,
    columns_of,
    explanation_of,
    inquire,
    scores_of,
    weigh_exactly,
)
from tagdesk.model import LONG, Model
from tagdesk.prediction import Prediction
from tagdesk.scorers.base import Progress, silent

__all__ = ["Limits", "explain", "handfuls"]

HANDFUL = 2048  # characters of the texts that are judged between two looks at the clock; larger ones gain little speed


def explain(
    model: Model,
    predictions: Sequence[Prediction],
    *,
    labels: Sequence[str] | None = None,
    limits: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
    progress: Progress = silent,
) -> list[Explanation]:
    """Why the model said what it said: an explanation for each of its predictions, in their order.

    Weights are in calibrated log-odds. A scorer that `Explains` itself is asked; with any other, words are left out
    and what is left is judged. Of a ticket that is too long for the limits the strongest words alone are looked at
    one by one, and the explanation says that it is coarse.

    Args:
        model: has made the predictions.
        predictions: of any policy.
        labels: to explain; by default those that were given (see `choose_labels`).
        limits: what each explanation may cost.
        clock: seconds that only go forward.
        progress: told how many are done.

    Raises:
        UsageError: for labels that the model does not know, or too many.

    >>> model = Model.load("starter")
    >>> said = explain(model, model.predict(["please refund me"]), labels=["Refund Request"])
    >>> said[0].reasons[0].speaking_for[0].text
    'refund'
    """
    chosen = limits or Limits()
    found = []
    for done, prediction in enumerate(predictions):
        progress("explanations", done, len(predictions))
        wanted = choose_labels(prediction, labels)
        columns = columns_of(prediction, wanted)
        if isinstance(model.scorer, Explains):
            weighed = weigh_exactly(prediction.text, model.scorer, model.calibration, columns)
        else:
            weighed = _left_out(model, prediction, columns, chosen, clock)
        found.append(explanation_of(prediction.text, wanted, scores_of(prediction, wanted), weighed))
    progress("explanations", len(predictions), len(predictions))
    return found


def handfuls(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in lists of at most `HANDFUL` characters, where a single one is not longer.

    >>> [len(some) for some in handfuls(["a" * 1500, "b" * 1500, "c", "d"])]
    [1, 3]
    """
    some: list[str] = []
    for text in texts:
        if some and sum(map(len, some)) + len(text) > HANDFUL:
            yield some
            some = []
        some.append(text)
    if some:
        yield some


def _left_out(
    model: Model, prediction: Prediction, columns: Sequence[int], limits: Limits, clock: Callable[[], float]
) -> Weighed:
    until = clock() + limits.seconds
    whole = logit(np.array([*prediction.scores.values(), prediction.out_of_scope or 0.0], dtype=np.float32))[columns]
    asking: Inquiry = inquire(prediction.text, whole, is_long=LONG in prediction.flags, most=limits.most)
    try:
        texts = next(asking)
        while True:
            rows = [np.zeros((0, len(columns)))]
            for some in handfuls(texts):
                if clock() >= until:
                    break
                rows.append(_log_odds(model, some, columns))
            texts = asking.send(np.concatenate(rows))
    except StopIteration as end:
        weighed: Weighed = end.value
        return weighed


def _log_odds(model: Model, texts: Sequence[str], columns: Sequence[int]) -> FloatArray:
    judged = model.judge(texts)
    none = np.zeros(len(texts), dtype=np.float32) if judged.none is None else judged.none
    return logit(np.column_stack([judged.probs, none]))[:, columns]
