from __future__ import annotations

import numpy as np
import pytest

from tagdesk.rank import expected_gain

LABELS = np.array([50, 75, 112, 168, 252, 378, 567, 850])


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0])
def test_a_curve_without_noise_is_carried_on(exponent: float) -> None:
    quality = 0.9 - 3 * LABELS**-exponent / 4
    further = 3 / 4 * (850.0**-exponent - 900.0**-exponent)
    gain = expected_gain(LABELS, quality, 50)
    assert gain.expected == pytest.approx(further, rel=0.25, abs=2e-4)
    assert gain.low <= gain.expected <= gain.high


def test_the_interval_holds_the_truth_of_noisy_curves() -> None:
    rng = np.random.default_rng(0)
    truth = 2 * (850.0**-0.5 - 900.0**-0.5)
    inside = 0
    for _ in range(200):
        gain = expected_gain(LABELS, 0.9 - 2 * LABELS**-0.5 + 0.01 * rng.standard_normal(8), 50)
        inside += gain.low <= truth <= gain.high
    assert inside / 200 > 0.85


def test_a_plateau_is_worth_next_to_nothing_and_a_fall_no_less() -> None:
    for quality in (np.full(8, 0.8), np.linspace(0.8, 0.7, 8), np.zeros(8), np.ones(8)):
        gain = expected_gain(LABELS, quality, 50)
        assert 0 < gain.low <= gain.expected <= gain.high < 0.003
        assert gain.expected < 0.001


def test_noise_widens_the_interval() -> None:
    wave = np.array([1, -1, 1, -1, 1, -1, 1, -1])
    smooth, rough = (expected_gain(LABELS, 0.8 - LABELS**-0.5 + size * wave, 50) for size in (0.0, 0.03))
    assert rough.high - rough.low > 2 * (smooth.high - smooth.low)


def test_a_slow_start_long_ago_does_not_count() -> None:
    labels = np.array([10, 20, 1000, 1200, 1440, 1728])
    settled = expected_gain(labels, np.array([0.0, 0.1, 0.8, 0.8, 0.8, 0.8]), 50)
    assert settled.expected < 0.001


def test_more_labels_ahead_are_expected_to_add_more() -> None:
    quality = 0.9 - 2 * LABELS**-0.5
    few, many = (expected_gain(LABELS, quality, ahead).expected for ahead in (50, 500))
    assert few < many < 2 * 850.0**-0.5


@pytest.mark.parametrize(
    ("labels", "quality"),
    [
        ([50, 75, 112], [0.1, 0.2, 0.3]),
        ([50, 75, 75, 112], [0.1, 0.2, 0.3, 0.4]),
        ([0, 75, 90, 112], [0.1, 0.2, 0.3, 0.4]),
        ([50, 75, 90, 112], [0.1, 0.2, 0.3, np.nan]),
        ([50, 75, 90, 112], [0.1, 0.2, 0.3, 1.4]),
    ],
)
def test_rounds_that_make_no_curve_are_a_programmers_mistake(labels: list[int], quality: list[float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        expected_gain(np.array(labels), np.array(quality), 50)
