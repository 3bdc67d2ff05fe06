"""A model that learns in no time: a logistic regression for each label on frozen embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from tagdesk.arrays import BoolArray, Embeddings, FloatArray, Probs, Targets
from tagdesk.policy import Policy, parse_objective
from tagdesk.policy.thresholds import implied

OBJECTIVE = parse_objective("f1_macro")


class Head:
    """A logistic regression for each label, all fitted at once, each fit starting from the last one's weights.

    A label that all or none of the labelled tickets carry has a constant probability.
    """

    def __init__(self, width: int, labels: int, strength: float) -> None:
        self.weights = np.zeros((width + 1, labels))
        self.strength = strength  # C: the inverse of the penalty

    def fit(self, seen: Embeddings, targets: Targets) -> None:
        """Fit to labelled tickets."""
        prior = (targets.sum(axis=0) + 0.5) / (len(targets) + 1)
        is_open = targets.any(axis=0) & ~targets.all(axis=0)
        is_new = ~self.weights[:-1].any(axis=0) | ~is_open
        self.weights[:-1, is_new] = 0
        self.weights[-1, is_new] = np.log(prior / (1 - prior))[is_new]
        columns = np.flatnonzero(is_open)
        if not len(columns):
            return
        sign = np.where(targets[:, columns], 1, -1).astype(np.float32)

        def loss(flat: FloatArray) -> tuple[float, FloatArray]:
            weights = flat.reshape(-1, len(columns)).astype(np.float32)
            margins = (seen @ weights[:-1] + weights[-1]) * sign
            slope = -sign / (1 + np.exp(margins))
            gradient = np.vstack([seen.T @ slope + weights[:-1] / self.strength, slope.sum(axis=0)])
            penalty = 0.5 / self.strength * float((weights[:-1].astype(np.float64) ** 2).sum())
            misfit = float(np.logaddexp(np.float32(0), -margins).sum(dtype=np.float64))
            return misfit + penalty, gradient.ravel().astype(np.float64)

        options = {"maxiter": 40, "ftol": 1e-5, "gtol": 1e-2}
        start = self.weights[:, columns].ravel()
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
        self.weights[:, columns] = found.x.reshape(-1, len(columns))

    def score(self, seen: Embeddings) -> Probs:
        """Probabilities (tickets, labels)."""
        logits = seen @ self.weights[:-1].astype(np.float32) + self.weights[-1].astype(np.float32)
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)

    def decided(self, seen: Embeddings, policy: Policy) -> BoolArray:
        """What it gives by a policy, (tickets, labels)."""
        return policy.decide(self.score(seen)) > 0

    def policy(self, reserve: Embeddings, labels: Sequence[str]) -> Policy:
        """The cuts that its scores of the reserve imply for macro F1."""
        cuts = implied(self.score(reserve), OBJECTIVE, 0.5)
        return Policy(tuple(labels), cuts, np.full(len(labels), np.inf))


def f1_macro(targets: Targets, decided: BoolArray) -> float:
    """The mean of the labels' F1; 0 for one that is neither given nor deserved."""
    both = (targets & decided).sum(axis=0)
    return float((2 * both / np.maximum(1, targets.sum(axis=0) + decided.sum(axis=0))).mean())
