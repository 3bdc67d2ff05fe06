"""Whether scores still mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from tagdesk.drift.calibrated import bias, slope


def answers(n: int, steepness: float, seed: int = 0, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and labels whose true logits are `steepness` times those of the scores."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, 1.5, size=(n, labels))
    targets = generator.random((n, labels)) < 1 / (1 + np.exp(-steepness * logits))
    return targets, (1 / (1 + np.exp(-logits))).astype(np.float32)


def test_bias_is_how_much_oftener_the_label_is_true() -> None:
    found = bias(np.array([True, True, False, False]), np.array([0.5, 0.5, 0.5, 0.1]))
    assert found.value == pytest.approx(0.1)
    assert found.error == pytest.approx(np.std([0.5, 0.5, -0.5, -0.1], ddof=1) / 2)


@pytest.mark.parametrize("steepness", [0.5, 1.0, 2.0])
def test_the_slope_is_found(steepness: float) -> None:
    found = slope(*answers(4000, steepness))
    assert found is not None
    assert found.value == pytest.approx(steepness, abs=4 * found.error)
    assert found.error < 0.1 * steepness


def test_the_error_of_the_slope_is_that_of_repeated_draws() -> None:
    found = [slope(*answers(400, 1.0, seed)) for seed in range(40)]
    values = [each.value for each in found if each]
    errors = [each.error for each in found if each]
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.3)


def test_labels_that_hang_together_are_no_more_evidence_than_one() -> None:
    targets, probs = answers(500, 1.0, labels=1)
    one, ten = slope(targets, probs), slope(np.repeat(targets, 10, axis=1), np.repeat(probs, 10, axis=1))
    assert one is not None
    assert ten is not None
    assert ten.value == pytest.approx(one.value, abs=1e-3)
    assert ten.error == pytest.approx(one.error, rel=0.01)


def test_scores_that_are_never_wrong_or_labels_that_are_all_the_same_have_no_slope() -> None:
    probs = np.array([[0.9], [0.1], [0.8], [0.3]], np.float32)
    assert slope(probs > 0.5, probs) is None
    assert slope(np.ones((4, 1), np.bool_), probs) is None
    assert slope(np.zeros((4, 1), np.bool_), probs) is None
    assert slope(np.zeros((0, 2), np.bool_), np.zeros((0, 2), np.float32)) is None


def test_scores_that_are_all_the_same_have_no_slope() -> None:
    targets = np.array([[True], [False], [True], [False]])
    found = slope(targets, np.full((4, 1), 0.5, np.float32))
    assert found is None


def test_scores_of_0_and_1_have_a_slope() -> None:
    targets, probs = answers(400, 1.0)
    found = slope(targets, np.round(probs))
    assert found is not None
    assert np.isfinite([found.value, found.error]).all()
