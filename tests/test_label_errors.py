from __future__ import annotations

import numpy as np
import pytest

from tagdesk.label_errors import doubts, number_wrong, overlaps, suspects


def flipped(seed: int = 0, share: float = 0.05) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels with errors, calibrated scores of the truth, and where the errors are; each (2000, 3)."""
    rng = np.random.default_rng(seed)
    probs = rng.beta(0.3, 0.5, (2000, 3)).astype(np.float32)
    true = rng.random(probs.shape) < probs
    flips = rng.random(true.shape) < share
    return true ^ flips, probs, flips


def test_doubt_is_the_probability_of_the_other_answer() -> None:
    found = doubts(np.array([[True, False]]), np.array([[0.9, 0.2]], dtype=np.float32))
    assert found == pytest.approx(np.array([[0.1, 0.2]]))


def test_clear_errors_are_found_and_clear_answers_left_alone() -> None:
    targets = np.array([[True]] * 10 + [[False]] * 10)
    probs = np.array([[0.9]] * 10 + [[0.1]] * 10, dtype=np.float32)
    assert not suspects(targets, probs).any()
    probs[3], probs[15] = 0.02, 0.98
    assert np.flatnonzero(suspects(targets, probs)).tolist() == [3, 15]


def test_the_number_of_errors_is_about_right() -> None:
    targets, probs, flips = flipped()
    assert 0.5 < number_wrong(targets, probs) / flips.sum() < 2.5


def test_most_suspects_are_more_often_wrong_than_chance() -> None:
    targets, probs, flips = flipped()
    found = suspects(targets, probs)
    assert found.sum() == min(number_wrong(targets, probs), int((doubts(targets, probs) > 0.5).sum()))
    assert flips[found].mean() > 5 * flips.mean()


def test_a_label_on_all_tickets_or_on_none_is_taken_to_be_right() -> None:
    targets = np.array([[True, False]] * 6)
    probs = np.full((6, 2), 0.5, dtype=np.float32)
    assert number_wrong(targets, probs) == 0
    assert not suspects(targets, probs).any()
    assert suspects(np.zeros((0, 2), dtype=np.bool_), np.zeros((0, 2), dtype=np.float32)).shape == (0, 2)


def test_a_label_on_a_handful_of_tickets_is_not_judged() -> None:
    targets = np.array([[True, True]] * 4 + [[False, True]] * 20 + [[False, False]] * 20)
    probs = np.where(targets, 0.9, 0.1).astype(np.float32)
    probs[:4, 0] = 0.01
    probs[4, 1] = 0.02
    assert np.argwhere(suspects(targets, probs)).tolist() == [[4, 1]]


def test_arrays_that_do_not_fit_are_a_programmers_mistake() -> None:
    with pytest.raises(ValueError, match="expected"):
        suspects(np.zeros((3, 2), dtype=np.bool_), np.zeros((3, 1), dtype=np.float32))


def test_labels_that_meet_or_are_mixed_up_are_named_worst_first() -> None:
    targets = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]], dtype=np.bool_)
    decided = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]], dtype=np.bool_)
    assert overlaps(targets, decided, ["A", "B", "C"]) == []  # too few to say
    targets, decided = np.tile(targets, (5, 1)), np.tile(decided, (5, 1))
    first, second = overlaps(targets, decided, ["A", "B", "C"])
    assert (first.first, first.second, first.together, first.confused) == ("A", "B", 1.0, 0.0)
    assert (second.first, second.second, second.together, second.confused) == ("A", "C", 0.0, 0.5)
