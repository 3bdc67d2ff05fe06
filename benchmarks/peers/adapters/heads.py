"""Logistic regressions on features, as scikit-learn's users write them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from peers.contract import Examples

STRENGTH = 10.0  # C: inverse regularisation


def one_vs_rest(features: Any, examples: Examples) -> Any:
    """A head with one regression per label, whether a text may carry several labels or not."""
    names = examples.names
    targets = examples.targets(names) if examples.is_multi else examples.classes(names)
    return OneVsRestClassifier(LogisticRegression(C=STRENGTH, max_iter=1000)).fit(features, targets)


def multinomial(features: Any, examples: Examples) -> Any:
    """A head for texts that carry one label each."""
    return LogisticRegression(C=STRENGTH, max_iter=1000).fit(features, examples.classes(examples.names))


def probabilities(head: Any, features: Any) -> NDArray[np.float32]:
    """(texts, names), with names in alphabetical order."""
    probs: NDArray[np.float32] = head.predict_proba(features).astype(np.float32)
    return probs
