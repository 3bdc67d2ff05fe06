"""Compares ways to calibrate probabilities on tickets that neither scorer nor calibration saw.

Trained on the pilot tickets and on the reference tickets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from held_out import RECIPES, SIZES, asked_for
from tagdesk import calibrate
from tagdesk.arrays import BoolArray, FloatArray, Probs, Targets
from tagdesk.evaluate import brier, ece

Apply = Callable[[Probs], FloatArray]
Column = Callable[[FloatArray], FloatArray]


def as_is(_targets: Targets, _scores: Probs) -> Apply:
    """Leave the probabilities alone."""
    return lambda scores: scores.astype(np.float64)


def temperature(targets: Targets, scores: Probs) -> Apply:
    """One slope for all labels."""
    logits, signs = calibrate.logit(scores), np.where(targets, 1.0, -1.0)
    best = minimize_scalar(lambda slope: np.logaddexp(0, -signs * slope * logits).sum(), bounds=(0.01, 20))
    return lambda scores: 1 / (1 + np.exp(-best.x * calibrate.logit(scores)))


def platt(prior: float) -> Callable[[Targets, Probs], Apply]:
    """A slope and an intercept for each label, with a prior of the given strength around the identity."""

    def column(targets: BoolArray, logits: FloatArray) -> Column:
        log_slope, intercept = calibrate.fit_curve(targets, logits, prior=prior)
        return lambda logits: 1 / (1 + np.exp(-np.exp(log_slope) * logits - intercept))

    return lambda targets, scores: _per_label(column, targets, scores)


def shipped(targets: Targets, scores: Probs) -> Apply:
    """What tagdesk does: Platt's curve per label, with a prior around the curve common to all."""
    return calibrate.fit(targets, scores).apply


def beta(targets: Targets, scores: Probs) -> Apply:
    """Beta calibration (Kull et al. 2017): separate slopes for log p and log (1 - p)."""

    def features(logits: FloatArray) -> FloatArray:
        return np.stack([-np.logaddexp(0, -logits), np.logaddexp(0, logits)], axis=1)

    def column(targets: BoolArray, logits: FloatArray) -> Column:
        model = LogisticRegression(C=np.inf, max_iter=1000).fit(features(logits), targets)
        return lambda logits: model.predict_proba(features(logits))[:, 1]

    return _per_label(column, targets, scores)


def isotonic(targets: Targets, scores: Probs) -> Apply:
    """The best rising step function for each label."""

    def column(targets: BoolArray, logits: FloatArray) -> Column:
        return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(logits, targets).predict

    return _per_label(column, targets, scores)


def _per_label(fit: Callable[[BoolArray, FloatArray], Column], targets: Targets, scores: Probs) -> Apply:
    logits = calibrate.logit(scores)
    columns = [fit(targets[:, label], logits[:, label]) for label in range(targets.shape[1])]
    return lambda scores: np.stack(
        [column(values) for column, values in zip(columns, calibrate.logit(scores).T, strict=True)], axis=1
    )


METHODS: dict[str, Callable[[Targets, Probs], Apply]] = {
    "identity": as_is,
    "temperature": temperature,
    "Platt": platt(0.0),
    "Platt, prior at the identity": platt(2.0),
    "Platt, prior at the common curve": shipped,
    "beta": beta,
    "isotonic": isotonic,
}


def main() -> None:
    """Print ECE and Brier score, mean over labels, sources and seeds, as a Markdown table."""
    found: dict[tuple[str, str, int], list[tuple[float, float]]] = defaultdict(list)
    for run in asked_for(__doc__):
        for name, method in METHODS.items():
            probs = method(run.targets, run.scores)(run.test_scores)
            figures = float(np.mean(ece(run.test_targets, probs))), float(np.mean(brier(run.test_targets, probs)))
            found[name, run.recipe, run.size].append(figures)
    columns = [(recipe, size) for recipe in RECIPES for size in SIZES]
    print("| method |", " | ".join(f"{recipe} {size}" for recipe, size in columns), "|")
    print("|---" * (len(columns) + 1) + "|")
    for name in METHODS:
        means = [np.mean(found[name, recipe, size], axis=0) for recipe, size in columns]
        print(f"| {name} |", " | ".join(f"{error:.3f} / {score:.4f}" for error, score in means), "|")


if __name__ == "__main__":
    main()
