"""Whether tickets can be told apart by their embeddings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tagdesk.arrays import Embeddings
from tagdesk.drift import Settings
from tagdesk.drift.meaning import _cross_fitted, _error, _folds, _pairs_right, told_apart

QUICK = Settings(permutations=99)


def drawn(n: int, *, width: int = 6, seed: int = 0, away: float = 0.0) -> Embeddings:
    vectors = np.random.default_rng(seed).normal(size=(n, width))
    vectors[:, 0] += away
    return vectors.astype(np.float32)


def test_other_tickets_are_told_apart_and_the_share_of_pairs_says_how_well() -> None:
    found = told_apart(drawn(150), drawn(150, seed=1, away=2.0), QUICK)
    assert found.p == 0.01
    assert found.reference == 0.5
    assert 0.8 < found.current < 1
    assert 0.2 < found.low < found.effect < found.high < 0.5


def test_tickets_of_the_same_kind_are_rarely_told_apart() -> None:
    p = [
        told_apart(drawn(60, seed=seed), drawn(60, seed=1000 + seed), replace(QUICK, seed=seed)).p
        for seed in range(120)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.1  # 0.05, and two and a half standard errors
    assert np.mean(np.array(p) <= 0.5) == pytest.approx(0.5, abs=0.12)


def test_the_same_tickets_on_both_sides_are_not_told_apart() -> None:
    same = drawn(120)
    assert told_apart(same, same.copy(), QUICK).p > 0.2


def test_tickets_that_are_all_alike_are_not_told_apart() -> None:
    found = told_apart(np.ones((100, 3), np.float32), np.ones((120, 3), np.float32), QUICK)
    assert (found.current, found.p, found.low, found.high) == (0.5, 1, 0, 0)


def test_two_texts_repeated_on_both_sides_are_compared() -> None:
    two = np.eye(2, dtype=np.float32)
    found = told_apart(two[np.arange(100) % 2], two[np.arange(100) % 2], QUICK)
    assert found.p > 0.05


def test_the_order_of_the_tickets_and_the_scale_do_not_matter_much() -> None:
    before, now = drawn(120), drawn(120, seed=1, away=1.0)
    assert told_apart(before, now, QUICK).p == told_apart(before[::-1], now, QUICK).p == 0.01
    assert told_apart(1000 * before, 1000 * now, QUICK).current == pytest.approx(told_apart(before, now, QUICK).current)


def test_the_same_seed_gives_the_same_answer() -> None:
    before, now = drawn(100), drawn(140, seed=1, away=0.3)
    assert told_apart(before, now, QUICK) == told_apart(before, now, QUICK)
    assert told_apart(before, now, QUICK) != told_apart(before, now, replace(QUICK, seed=1))


def test_of_many_tickets_some_are_drawn() -> None:
    settings = replace(QUICK, embedded=40)
    found = told_apart(drawn(30_000), drawn(50, seed=1, away=4.0), settings)
    assert found.p == 0.01


def test_windows_of_very_different_size_are_told_apart_only_where_they_differ() -> None:
    assert told_apart(drawn(900), drawn(40, seed=1, away=3.0), QUICK).p == 0.01
    same = [told_apart(drawn(900), drawn(40, seed=seed), QUICK).p for seed in range(1, 10)]
    assert 0.2 < np.median(same) < 0.9


def test_a_ticket_is_judged_by_others_alone_and_equal_ones_together() -> None:
    vectors = np.repeat(drawn(20).astype(np.float64), 2, axis=0)
    folds = _folds(vectors, np.random.default_rng(0))
    assert (folds[::2] == folds[1::2]).all()
    owners = (np.random.default_rng(1).random((40, 3)) < 0.5).astype(np.float64)
    before = _cross_fitted(vectors, owners, folds)
    changed = owners.copy()
    changed[folds == folds[0]] = 1 - changed[folds == folds[0]]
    after = _cross_fitted(vectors, changed, folds)
    assert np.allclose(before[folds == folds[0]], after[folds == folds[0]])
    assert not np.allclose(before[folds != folds[0]], after[folds != folds[0]])


def test_pairs_are_counted_as_the_area_under_the_curve_with_ties_as_half() -> None:
    generator = np.random.default_rng(0)
    guesses = generator.integers(0, 5, size=(30, 2)).astype(np.float64)
    owners = generator.random((30, 2)) < 0.4
    expected = [roc_auc_score(owners[:, column], guesses[:, column]) for column in range(2)]
    assert _pairs_right(guesses, owners).tolist() == pytest.approx(expected)


def test_the_error_of_the_share_of_pairs_is_that_of_repeated_draws() -> None:
    generator = np.random.default_rng(0)
    is_new = np.arange(200) >= 120
    shares, errors = [], []
    for _ in range(300):
        guesses = generator.normal(size=200) + 0.7 * is_new
        shares.append(_pairs_right(guesses[:, None], is_new[:, None])[0])
        errors.append(_error(guesses, is_new))
    assert np.mean(errors) == pytest.approx(np.std(shares), rel=0.12)
