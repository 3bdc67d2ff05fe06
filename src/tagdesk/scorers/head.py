"""One regularised logistic regression per label, over blocks of dense and sparse features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagdesk.arrays import Targets
from tagdesk.errors import InputError

ALWAYS = 12.0  # the logit of a label that every example carries; its negative for one that none does
STEPS = 1000  # of L-BFGS; a few hundred tickets need about 30


def fit_head(
    blocks: Sequence[Any], targets: Targets, *, strength: float
) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """Weights per block (width, labels) and biases (labels,) that turn features into logits.

    A label that no example carries, or every one, gets a constant.

    Args:
        blocks: matrices (tickets, width), dense or sparse; their columns stand side by side.
        targets: (tickets, labels).
        strength: scikit-learn's C, the inverse of the L2 penalty; biases are not penalised.

    Raises:
        InputError: where there is nothing to learn from.
    """
    from scipy.sparse import hstack, issparse  # noqa: PLC0415 - slow to import, and not needed to serve
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - the same
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - the same

    if not len(targets):
        raise InputError("There are no labelled tickets to learn from.", code="too_few")
    features = hstack(blocks, format="csr") if any(issparse(block) for block in blocks) else np.hstack(blocks)
    weights = np.zeros((features.shape[1], targets.shape[1]), dtype=np.float32)
    bias = np.where(targets.all(axis=0), ALWAYS, -ALWAYS).astype(np.float32)
    with threadpool_limits(1):  # the vectors are short: threads that wait for each other cost ten times what they gain
        for label in np.flatnonzero(targets.any(axis=0) & ~targets.all(axis=0)):
            model = LogisticRegression(C=strength, max_iter=STEPS).fit(features, targets[:, label])
            weights[:, label] = model.coef_[0]
            bias[label] = model.intercept_[0]
    edges = np.cumsum([block.shape[1] for block in blocks])[:-1]
    return np.split(weights, edges), bias
