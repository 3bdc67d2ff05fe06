from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from tagdesk.errors import InputError
from tagdesk.scorers.head import ALWAYS, fit_head

FEATURES = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
TARGETS = np.stack([FEATURES[:, 0] > 0, FEATURES[:, 1] + FEATURES[:, 2] > 0.3], axis=1)


def test_weights_are_those_of_scikit_learn() -> None:
    weights, bias = fit_head(FEATURES, TARGETS, strength=2.0)
    for label in range(2):
        model = LogisticRegression(C=2.0, max_iter=1000).fit(FEATURES, TARGETS[:, label])
        assert np.allclose(weights[:, label], model.coef_[0], atol=1e-4)
        assert np.allclose(bias[label], model.intercept_[0], atol=1e-4)


def test_dense_and_sparse_features_teach_the_same() -> None:
    dense, bias = fit_head(FEATURES, TARGETS, strength=2.0)
    sparse, same_bias = fit_head(csr_matrix(FEATURES), TARGETS, strength=2.0)
    assert np.allclose(sparse, dense, atol=1e-3)
    assert np.allclose(same_bias, bias, atol=1e-3)


def test_a_label_of_nobody_or_everybody_is_a_constant() -> None:
    targets = np.stack([np.zeros(40, dtype=bool), np.ones(40, dtype=bool), TARGETS[:, 0]], axis=1)
    weights, bias = fit_head(FEATURES, targets, strength=1.0)
    assert not weights[:, :2].any()
    assert bias[:2].tolist() == [-ALWAYS, ALWAYS]
    assert weights[:, 2].any()


def test_less_strength_gives_smaller_weights() -> None:
    weak, _ = fit_head(FEATURES, TARGETS, strength=0.01)
    strong, _ = fit_head(FEATURES, TARGETS, strength=100.0)
    assert np.abs(weak).max() < np.abs(strong).max() / 5


def test_nothing_to_learn_from_is_told() -> None:
    with pytest.raises(InputError, match="no labelled tickets"):
        fit_head(np.zeros((0, 2)), np.zeros((0, 1), dtype=bool), strength=1.0)
