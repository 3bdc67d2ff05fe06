"""One regularised logistic regression per label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagdesk.arrays import Targets
from tagdesk.errors import InputError

ALWAYS = 12.0  # the logit of a label that every example carries; its negative for one that none does
STEPS = 1000  # of L-BFGS; a few hundred tickets need about 30


def fit_head(features: Any, targets: Targets, *, strength: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (width, labels) and biases (labels,) that turn features into logits.

    A label that no example carries, or every one, gets a constant.

    Args:
        features: (tickets, width), dense or sparse.
        targets: (tickets, labels).
        strength: scikit-learn's C, the inverse of the L2 penalty; biases are not penalised.

    Raises:
        InputError: where there is nothing to learn from.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - slow to import, and not needed to serve
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - the same

    if not len(targets):
        raise InputError("There are no labelled tickets to learn from.", code="too_few")
    weights = np.zeros((features.shape[1], targets.shape[1]), dtype=np.float32)
    bias = np.where(targets.all(axis=0), ALWAYS, -ALWAYS).astype(np.float32)
    with threadpool_limits(1):  # the vectors are short: threads that wait for each other cost ten times what they gain
        for label in np.flatnonzero(targets.any(axis=0) & ~targets.all(axis=0)):
            model = LogisticRegression(C=strength, max_iter=STEPS).fit(features, targets[:, label])
            weights[:, label] = model.coef_[0]
            bias[label] = model.intercept_[0]
    return weights, bias
