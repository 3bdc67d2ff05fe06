"""One regularised logistic regression per label, over blocks of dense and sparse features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagdesk.arrays import FloatArray, Targets
from tagdesk.errors import InputError

ALWAYS = 12.0  # the logit of a label that every example carries; its negative for one that none does
STEPS = 500  # of L-BFGS; a few hundred tickets need about 60


def fit_head(
    blocks: Sequence[Any], targets: Targets, *, strength: float
) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """Weights per block (width, labels) and biases (labels,) that turn features into logits.

    Minimises `strength * sum of log losses + |weights|^2 / 2` over all labels at once, the biases unpenalised: the same
    optimum as scikit-learn's LogisticRegression(C=strength) for each label, but a few large matrix products instead of
    many small ones. A label that no example carries, or every one, gets a constant.

    Args:
        blocks: matrices (tickets, width), dense or sparse; their columns stand side by side.
        targets: (tickets, labels).
        strength: the inverse of the L2 penalty.

    Raises:
        InputError: where there is nothing to learn from.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - slow to import, and not needed to serve

    if not len(targets):
        raise InputError("There are no labelled tickets to learn from.", code="too_few")
    varied = np.flatnonzero(targets.any(axis=0) & ~targets.all(axis=0))
    wanted = targets[:, varied].astype(np.float64)
    widths = [block.shape[1] for block in blocks]
    rates = wanted.mean(axis=0)
    start = np.zeros((sum(widths) + 1, len(varied)))
    start[-1] = np.log(rates / (1 - rates))
    result = minimize(
        _loss, start.ravel(), args=(blocks, wanted, strength), jac=True, method="L-BFGS-B",
        options={"maxiter": STEPS, "maxcor": 20, "ftol": 1e-10, "gtol": 1e-4},
    )  # fmt: skip
    learned = result.x.reshape(start.shape)
    weights = np.zeros((sum(widths), targets.shape[1]), dtype=np.float32)
    weights[:, varied] = learned[:-1]
    bias = np.where(targets.all(axis=0), ALWAYS, -ALWAYS).astype(np.float32)
    bias[varied] = learned[-1]
    return np.split(weights, np.cumsum(widths)[:-1]), bias


def _loss(flat: FloatArray, blocks: Sequence[Any], wanted: FloatArray, strength: float) -> tuple[float, FloatArray]:
    """The loss and its gradient at `flat`, which holds all weights and, as its last row, the biases."""
    parameters = flat.reshape(-1, wanted.shape[1])
    gradient = np.empty_like(parameters)
    logits = np.tile(parameters[-1], (len(wanted), 1))
    edges = np.cumsum([0, *(block.shape[1] for block in blocks)])
    for block, low, high in zip(blocks, edges[:-1], edges[1:], strict=True):
        logits += block @ parameters[low:high]
    losses = np.logaddexp(0, logits) - wanted * logits
    residual = strength * (1 / (1 + np.exp(-np.clip(logits, -500, 500))) - wanted)
    for block, low, high in zip(blocks, edges[:-1], edges[1:], strict=True):
        gradient[low:high] = block.T @ residual + parameters[low:high]
    gradient[-1] = residual.sum(axis=0)
    return float(strength * losses.sum() + 0.5 * (parameters[:-1] ** 2).sum()), gradient.ravel()
