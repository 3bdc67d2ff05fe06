from __future__ import annotations

import math

import numpy as np
import pytest

from tagdesk.agreement import MISSING, alpha, same_sets


def test_alpha_is_that_of_a_published_example() -> None:
    # Three coders, fifteen units, with gaps: nominal alpha 0.691 (Krippendorff, "Computing Krippendorff's
    # Alpha-Reliability", 2011, and the encyclopedias that repeat it).
    first = [0, 0, 0, 0, 0, 3, 4, 1, 2, 1, 1, 3, 3, 0, 3]
    second = [1, 0, 2, 1, 3, 3, 4, 3, 0, 0, 0, 0, 0, 0, 0]
    third = [0, 0, 2, 1, 3, 4, 4, 0, 2, 1, 1, 3, 3, 0, 4]
    codes = np.array([first, second, third]) - 1  # 0 stands for a gap
    assert alpha(codes) == pytest.approx(0.691, abs=0.0005)


def test_full_agreement_is_one_and_chance_is_about_zero() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (2, 5000))
    assert alpha(codes) == pytest.approx(0, abs=0.03)
    assert alpha(np.stack([codes[0], codes[0]])) == 1


def test_opposite_answers_are_worse_than_chance() -> None:
    assert alpha(np.array([[0, 1, 0, 1], [1, 0, 1, 0]])) < 0


def test_nothing_to_compare_is_no_number() -> None:
    assert math.isnan(alpha(np.zeros((2, 4), dtype=np.int64)))
    assert math.isnan(alpha(np.array([[0, 1], [MISSING, MISSING]])))
    assert math.isnan(alpha(np.zeros((2, 0), dtype=np.int64)))


def test_sets_agree_only_as_a_whole() -> None:
    first = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=np.bool_)
    second = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=np.bool_)
    assert same_sets(first, second) == pytest.approx(2 / 3)


def test_codes_below_a_gap_are_a_programmers_mistake() -> None:
    with pytest.raises(ValueError, match="expected"):
        alpha(np.array([[0, -2], [0, 1]]))
