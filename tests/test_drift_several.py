"""Allowance for many tests."""

from __future__ import annotations

import numpy as np
import pytest

from tagdesk.drift.several import holm


def test_equal_weights_give_holms_p_values_in_the_order_of_the_tests() -> None:
    assert holm(np.array([0.04, 0.01, 0.03, 0.5]), np.full(4, 7.0)).tolist() == pytest.approx([0.09, 0.04, 0.09, 0.5])


def test_one_test_keeps_its_p_value_and_none_give_none() -> None:
    assert holm(np.array([0.3]), np.array([2.0])).tolist() == [0.3]
    assert holm(np.array([]), np.array([])).tolist() == []


def test_nothing_is_likelier_than_certain_and_zero_stays_zero() -> None:
    assert holm(np.array([0.9, 0.8, 0.0]), np.ones(3)).tolist() == [1, 1, 0]


def test_a_test_of_more_weight_is_proven_sooner() -> None:
    p = np.array([0.02, 0.02])
    heavy, light = holm(p, np.array([3.0, 1.0]))
    assert heavy == pytest.approx(0.02 * 4 / 3)  # first, against all
    assert light == pytest.approx(heavy)  # 0.02 by itself, but never before a heavier one with the same p-value
    assert holm(p, np.array([30.0, 10.0])).tolist() == [heavy, light]


def test_independent_tests_of_nothing_are_proven_as_often_as_allowed() -> None:
    generator = np.random.default_rng(0)
    weights = np.array([4.0, 1, 1, 0.5, 3])
    alarms = [holm(generator.random(5), weights).min() <= 0.05 for _ in range(4000)]
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.01)
