"""Dealing groups to sides."""

from __future__ import annotations

import numpy as np
import pytest

from tagdesk.dataset.stratify import stratify
from tagdesk.errors import InputError


def test_each_side_gets_its_share_of_each_label() -> None:
    targets = np.array([[True, False]] * 8 + [[False, True]] * 4 + [[False, False]] * 4)
    side = stratify(targets, np.arange(16), np.array([0.75, 0.25]), seed=0)
    assert [targets[side == 0].sum(axis=0).tolist(), targets[side == 1].sum(axis=0).tolist()] == [[6, 3], [2, 1]]
    assert (side == 0).sum() == 12


def test_groups_stay_whole() -> None:
    groups = np.array([0, 0, 0, 1, 1, 2, 3, 3])
    side = stratify(np.ones((8, 1), np.bool_), groups, np.array([0.5, 0.5]), seed=0)
    assert all(len(set(side[groups == group])) == 1 for group in range(4))
    assert (side == 0).sum() == 4


def test_tickets_without_label_are_dealt_evenly_too() -> None:
    side = stratify(np.zeros((10, 0), np.bool_), np.arange(10), np.array([0.5, 0.5]), seed=0)
    assert np.bincount(side).tolist() == [5, 5]


def test_a_side_that_would_stay_empty_gets_the_smallest_group() -> None:
    groups = np.array([0] * 10 + [1] * 5)
    side = stratify(np.ones((15, 1), np.bool_), groups, np.array([0.99, 0.01]), seed=0)
    assert side.tolist() == [0] * 10 + [1] * 5


def test_fewer_groups_than_sides_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        stratify(np.ones((9, 1), np.bool_), np.zeros(9, np.int64), np.array([0.5, 0.5]), seed=0)
    assert caught.value.code == "too_few"
