from __future__ import annotations

import numpy as np
import pytest

from tagdesk.policy import Policy
from tagdesk.rank import Pool
from tagdesk.rank.diversity import MOST_CANDIDATES, diverse, likes, sample

ONE = Policy.uniform(["A"], 0.5)


def pool(embeddings: np.ndarray | None, n: int | None = None, **more: np.ndarray) -> Pool:
    tickets = n if embeddings is None else len(embeddings)
    return Pool(np.full((tickets or 0, 1), 0.5, dtype=np.float32), ONE, embeddings=embeddings, **more)


def clouds(count: int, each: int, seed: int = 0) -> np.ndarray:
    """`each` rows around every one of `count` orthogonal directions, near enough to know them by, not duplicates."""
    rng = np.random.default_rng(seed)
    width = count + 60
    rows = np.repeat(np.eye(width, dtype=np.float32)[:count], each, axis=0)
    rows = rows + 0.05 * rng.standard_normal(rows.shape, dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def test_a_batch_covers_far_more_kinds_of_tickets_than_the_same_number_at_random() -> None:
    rows = clouds(12, 40)
    kinds = np.repeat(np.arange(12), 40)
    rng = np.random.default_rng(1)
    covered = [len(set(kinds[diverse(pool(rows), np.ones(480), 12, seed=seed)])) for seed in range(10)]
    by_chance = [len(set(kinds[rng.permutation(480)[:12]])) for _ in range(10)]
    assert np.mean(covered) > np.mean(by_chance) + 1


def test_what_resembles_labelled_tickets_is_left_for_what_does_not() -> None:
    rows = clouds(2, 50)
    known = pool(rows, labelled_embeddings=rows[:50])
    picked = diverse(known, np.ones(100), 10, seed=0)
    assert (picked >= 50).all()


def test_the_doubtful_are_preferred_among_the_unlike() -> None:
    rows = clouds(1, 2000)
    doubt = np.arange(2000, dtype=np.float64)
    picked = np.concatenate([diverse(pool(rows), doubt, 20, seed=seed) for seed in range(5)])
    assert picked.min() >= 1800  # nobody below the ten times as many that are looked at
    assert picked.mean() > 1915


def test_near_duplicates_are_asked_once() -> None:
    rows = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
    picked = diverse(pool(rows), np.ones(20), 20, seed=0)
    assert sorted((picked // 5).tolist()) == [0, 1, 2, 3]


def test_near_duplicates_are_asked_once_without_embeddings_too() -> None:
    groups = np.array([0, 0, 1, 1, 2])
    picked = diverse(pool(None, 5, groups=groups), np.array([5.0, 4.0, 3.0, 2.0, 1.0]), 5, seed=0)
    assert picked.tolist() == [0, 2, 4]


def test_duplicates_of_the_most_doubtful_do_not_use_up_the_batch() -> None:
    rows = np.vstack([np.repeat(np.eye(6, dtype=np.float32)[:1], 500, axis=0), np.eye(6, dtype=np.float32)[1:]])
    doubt = np.concatenate([np.ones(500), np.zeros(5)])
    assert len(diverse(pool(rows), doubt, 6, seed=0)) == 6


def test_without_embeddings_the_most_doubtful_are_picked_in_order() -> None:
    assert diverse(pool(None, 4), np.array([0.1, 0.9, 0.5, 0.7]), 3, seed=0).tolist() == [1, 3, 2]


@pytest.mark.parametrize("embeddings", [clouds(1, 500), None])
def test_among_equally_doubtful_tickets_the_first_have_no_precedence(embeddings: np.ndarray | None) -> None:
    tickets = pool(embeddings, 500)
    picked = np.concatenate([diverse(tickets, np.zeros(500), 5, seed=seed) for seed in range(20)])
    assert 150 < picked.mean() < 350


def test_what_may_not_be_picked_is_not() -> None:
    doubt = np.array([1.0, -np.inf, 0.5])
    assert set(diverse(pool(np.eye(3, dtype=np.float32)), doubt, 3, seed=0).tolist()) == {0, 2}


def test_nothing_wanted_and_nothing_there_are_no_special_case() -> None:
    assert diverse(pool(np.eye(3, dtype=np.float32)), np.ones(3), 0, seed=0).tolist() == []
    assert diverse(pool(np.zeros((0, 3), dtype=np.float32)), np.zeros(0), 5, seed=0).tolist() == []


def test_rows_without_direction_do_no_harm() -> None:
    picked = diverse(pool(np.zeros((5, 3), dtype=np.float32)), np.ones(5), 3, seed=0)
    assert len(set(picked.tolist())) == 3


def test_a_ticket_at_the_very_place_of_a_labelled_one_can_still_be_picked() -> None:
    rows = np.eye(2, dtype=np.float32)
    assert len(diverse(pool(rows, labelled_embeddings=rows), np.ones(2), 2, seed=0)) == 2


def test_likes_count_the_others_by_group_or_by_closeness() -> None:
    rows = np.array([[1, 0], [1, 0], [0, 1], [0, -1]], dtype=np.float32)
    places = np.array([0, 2, 3])
    assert likes(pool(rows), places).tolist() == [1, 0, 0]
    assert likes(pool(rows, groups=np.array([0, 1, 2, 2])), places).tolist() == [1, 1, 1]
    assert likes(pool(np.zeros((3, 2), dtype=np.float32)), np.array([0])).tolist() == [0]
    assert likes(pool(None, 3), np.array([0, 1])).tolist() == [0, 0]


def test_the_same_seed_picks_the_same() -> None:
    rows = clouds(3, 30)
    first, again, other = (diverse(pool(rows), np.ones(90), 8, seed=seed).tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_a_sample_is_no_larger_than_asked() -> None:
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    assert sample(rows, 5, 0) is rows
    assert len(sample(rows, 3, 0)) == 3


@pytest.mark.parametrize("tickets", [MOST_CANDIDATES + 3_000])
def test_a_large_pool_of_equal_doubt_stays_within_bounds(tickets: int) -> None:
    rows = np.random.default_rng(0).standard_normal((tickets, 4), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert len(diverse(pool(rows), np.zeros(tickets), 5, seed=0)) == 5
