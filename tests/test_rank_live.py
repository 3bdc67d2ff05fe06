from __future__ import annotations

import numpy as np
import pytest

from tagdesk.rank import live_quality


def test_equally_likely_checks_give_plain_shares() -> None:
    targets = np.array([[1, 0], [1, 1], [0, 0], [1, 0]], dtype=np.bool_)
    decided = np.array([[1, 0], [1, 0], [0, 0], [0, 0]], dtype=np.bool_)
    found = live_quality(targets, decided, np.full(4, 0.05), ["A", "B"])
    assert found.exact_match is not None
    assert found.exact_match.value == pytest.approx(0.5)
    assert found.recall["A"] is not None
    assert (found.recall["A"].value, found.recall["A"].checks) == (pytest.approx(2 / 3), 3)
    assert found.recall["B"] is not None
    assert found.recall["B"].value == 0


def test_a_check_that_was_half_as_likely_stands_for_twice_as_many() -> None:
    targets = np.ones((2, 1), dtype=np.bool_)
    found = live_quality(targets, np.array([[True], [False]]), np.array([0.1, 0.2]), ["A"])
    assert found.exact_match is not None
    assert found.exact_match.value == pytest.approx(2 / 3)
    assert found.exact_match.low < 2 / 3 < found.exact_match.high


def test_the_interval_holds_what_it_promises_also_for_unequal_chances() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(4000) < np.linspace(0.7, 0.99, 4000)  # whether the model is right; later tickets are easier
    chance = np.where(np.arange(4000) < 2000, 0.02, 0.05)  # two calls, from pools of other sizes
    inside, values = 0, []
    for _ in range(400):
        drawn = rng.random(4000) < chance
        found = live_quality(np.ones((drawn.sum(), 1), dtype=np.bool_), truth[drawn, None], chance[drawn], ["A"])
        assert found.exact_match is not None
        values.append(found.exact_match.value)
        inside += found.exact_match.low <= truth.mean() <= found.exact_match.high
    assert inside / 400 > 0.92
    assert np.mean(values) == pytest.approx(truth.mean(), abs=0.005)


def test_all_right_is_not_called_certain() -> None:
    found = live_quality(np.ones((10, 1), dtype=np.bool_), np.ones((10, 1), dtype=np.bool_), np.full(10, 0.1), ["A"])
    assert found.exact_match is not None
    assert (found.exact_match.value, found.exact_match.high) == (pytest.approx(1), pytest.approx(1))
    assert found.exact_match.low == pytest.approx(0.722, abs=0.001)  # Wilson, 10 of 10


def test_what_no_check_speaks_of_is_none() -> None:
    nothing = np.zeros((0, 2), dtype=np.bool_)
    found = live_quality(nothing, nothing, np.zeros(0), ["A", "B"])
    assert found.exact_match is None
    assert found.recall == {"A": None, "B": None}
    one = live_quality(np.array([[True, False]]), np.array([[True, False]]), np.array([1.0]), ["A", "B"])
    assert one.recall["B"] is None
    assert one.recall["A"] is not None


def test_more_confidence_is_a_wider_interval() -> None:
    targets = np.ones((20, 1), dtype=np.bool_)
    decided = np.arange(20)[:, None] < 14
    narrow, wide = (
        live_quality(targets, decided, np.full(20, 0.5), ["A"], confidence=confidence).exact_match
        for confidence in (0.5, 0.99)
    )
    assert narrow is not None
    assert wide is not None
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("chance", [np.array([0.0]), np.array([1.5]), np.array([np.nan]), np.array([0.1, 0.1])])
def test_chances_that_cannot_be_are_a_programmers_mistake(chance: np.ndarray) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        live_quality(np.ones((1, 1), dtype=np.bool_), np.ones((1, 1), dtype=np.bool_), chance, ["A"])


def test_arrays_that_do_not_fit_are_a_programmers_mistake() -> None:
    with pytest.raises(ValueError, match="must agree"):
        live_quality(np.ones((1, 2), dtype=np.bool_), np.ones((1, 2), dtype=np.bool_), np.ones(1), ["A"])
    with pytest.raises(ValueError, match="confidence"):
        live_quality(np.ones((1, 1), dtype=np.bool_), np.ones((1, 1), dtype=np.bool_), np.ones(1), ["A"], confidence=1)
