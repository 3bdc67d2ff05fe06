from __future__ import annotations

import math

import numpy as np
import pytest

from tagdesk.errors import UsageError
from tagdesk.policy import Policy
from tagdesk.rank import DEFAULT, STRATEGIES, Pool, doubt_of
from tagdesk.rank.strategies import (
    borda,
    cardinality,
    close_calls,
    cvirs,
    margin,
    max_entropy,
    mean_entropy,
    most_doubtful,
    novelty,
    runner_up,
    weakest_call,
)

HALF = np.array([0.5, 0.5])


def probs(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_a_score_on_the_cut_is_the_closest_there_is() -> None:
    doubt = margin(probs([0.3, 0.01], [0.31, 0.01], [0.9, 0.01]), np.array([0.3, 0.5]))
    assert doubt[0] == pytest.approx(1, abs=1e-6)
    assert doubt[0] > doubt[1] > doubt[2]


def test_a_rare_labels_low_cut_does_not_make_every_ticket_a_close_call() -> None:
    far_below = margin(probs([0.001, 0.0]), np.array([0.02, 0.5]))[0]
    close = margin(probs([0.4, 0.0]), np.array([0.5, 0.5]))[0]
    assert far_below < 0.1 < close  # although .001 differs from .02 by less than .4 from .5


def test_a_label_that_is_never_given_is_held_against_even_odds() -> None:
    never = np.array([math.inf, 0.5])
    assert margin(probs([0.5, 0.01]), never)[0] == pytest.approx(1)
    assert np.isfinite(margin(probs([0.0, 1.0]), never)).all()


def test_the_weakest_call_looks_at_the_best_placed_label_alone() -> None:
    clear, unclear = weakest_call(probs([0.95, 0.5], [0.55, 0.01]), HALF)
    assert clear < 0.1
    assert unclear > 0.8
    assert margin(probs([0.95, 0.5]), HALF)[0] == pytest.approx(1)


def test_the_runner_up_is_close_where_two_labels_are_nearly_as_good() -> None:
    tie, clear = runner_up(probs([0.6, 0.6, 0.1], [0.9, 0.1, 0.1]), np.full(3, 0.5))
    assert tie == pytest.approx(1)
    assert clear == pytest.approx(1 / 81, rel=1e-4)  # odds of 9 against odds of 1 / 9
    assert runner_up(probs([0.5], [0.9]), np.array([0.5])).tolist() == [0, 0]


def test_where_tickets_carry_one_label_each_the_runner_up_decides() -> None:
    scores = probs([0.9, 0.9], [0.5, 0.01], [0.05, 0.01])
    one_each, several = np.array([[True, False]] * 20), np.array([[True, True]] * 20)
    few = one_each[:5]
    first = [
        int(doubt_of(Pool(scores, Policy.uniform(["A", "B"], 0.5), labelled=labelled), "mix").argmax())
        for labelled in (one_each, several, few)
    ]
    assert first == [0, 1, 1]


def test_two_close_calls_are_more_doubtful_than_one_beside_a_clear_label() -> None:
    two, one = close_calls(probs([0.5, 0.5], [0.99, 0.5]), HALF)
    assert two == pytest.approx(2 / math.sqrt(2))
    assert one < two / 4


def test_entropy_is_that_of_coins() -> None:
    coins = probs([0.5, 0.25], [1.0, 0.0])
    quarter = 0.25 * 2 + 0.75 * math.log2(4 / 3)
    assert mean_entropy(coins) == pytest.approx([(1 + quarter) / 2, 0], abs=1e-4)
    assert max_entropy(coins) == pytest.approx([1, 0], abs=1e-4)


def test_no_label_given_where_one_is_expected_is_inconsistent() -> None:
    assert cardinality(probs([0.45, 0.45], [0.95, 0.05]), HALF) == pytest.approx([0.9, 0], abs=1e-6)


def test_cvirs_asks_first_about_sets_that_nobody_gave() -> None:
    labelled = np.array([[True, False, False]] * 9 + [[False, False, True]])
    cuts = np.full(3, 0.5)
    same_margins = probs([0.6, 0.4, 0.4], [0.4, 0.4, 0.6], [0.6, 0.6, 0.4])
    usual, rare, new = cvirs(same_margins, cuts, labelled)
    assert usual < rare
    assert usual < new


def test_cvirs_weighs_the_distances_of_sets_as_the_paper_does() -> None:
    # One label given of two against the same set: nothing apart. Against the opposite set: every answer differs, 1.
    labelled = np.array([[True, False], [False, True]])
    (doubt,) = cvirs(probs([0.6, 0.4]), HALF, labelled)
    assert doubt == pytest.approx((0 + 1) / 2)
    # Against both labels: a = 1, b = 0, c = 1, d = 0 of 2: joint entropy 1, own entropies 1 and 0: (2 - 1 - 0) / 1.
    (doubt,) = cvirs(probs([0.6, 0.4]), HALF, np.array([[True, True]]))
    assert doubt == pytest.approx(1, abs=1e-4)


def test_cvirs_without_labelled_tickets_is_the_ranked_margin() -> None:
    nothing = np.zeros((0, 2), dtype=np.bool_)
    doubt = cvirs(probs([0.5, 0.5], [0.9, 0.6], [0.99, 0.99]), HALF, nothing)
    assert doubt == pytest.approx([1, 2 / 3, 1 / 3])


def test_ranks_are_shared_by_ties() -> None:
    assert borda(np.array([1.0, 1.0, 0.0])) == pytest.approx([0.75, 0.75, 0])
    assert borda(np.array([3.0])) == pytest.approx([0])


def test_what_resembles_nothing_labelled_is_new() -> None:
    rows = np.eye(3, dtype=np.float32)
    assert novelty(rows, rows[:2]).tolist() == [0, 0, 1]
    assert novelty(rows, rows[:0]).tolist() == [1, 1, 1]


def test_out_of_scope_doubt_is_highest_at_the_policys_cut() -> None:
    policy = Policy(("A",), np.array([0.5]), np.array([0.9]), out_of_scope=0.7)
    pool = Pool(probs([0.1], [0.1], [0.1]), policy, none=np.array([0.7, 0.5, 0.99], dtype=np.float32))
    assert doubt_of(pool, "out_of_scope").argsort()[::-1].tolist() == [0, 1, 2]


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("tickets", [0, 1, 5])
def test_every_strategy_gives_one_finite_doubt_a_ticket(strategy: str, tickets: int) -> None:
    rng = np.random.default_rng(0)
    scores = np.vstack([probs([0, 1, 0], [0.5, 0.5, 0.5]), rng.random((3, 3))]).astype(np.float32)[:tickets]
    pool = Pool(
        scores,
        Policy(("A", "B", "C"), np.array([0.0, 1.0, math.inf]), np.array([1.0, 1.0, math.inf])),
        none=scores[:, 0],
        embeddings=np.eye(5, dtype=np.float32)[:tickets],
        labelled=np.array([[True, False, False]]),
        labelled_embeddings=np.eye(5, dtype=np.float32)[:1],
    )
    doubt = doubt_of(pool, strategy)
    assert doubt.shape == (tickets,)
    assert np.isfinite(doubt).all()


def test_one_label_and_equal_tickets_are_no_special_case() -> None:
    pool = Pool(np.full((4, 1), 0.3, dtype=np.float32), Policy.uniform(["A"], 0.5))
    assert len(set(doubt_of(pool, DEFAULT).tolist())) == 1


def test_an_unknown_strategy_is_answered_with_the_known_ones() -> None:
    pool = Pool(probs([0.1, 0.2]), Policy.uniform(["A", "B"], 0.5))
    with pytest.raises(UsageError, match="mix, margin") as caught:
        doubt_of(pool, "bald")
    assert caught.value.code == "unknown_strategy"


@pytest.mark.parametrize(("strategy", "code"), [("out_of_scope", "needs_none"), ("novelty", "needs_embeddings")])
def test_a_strategy_says_what_the_pool_lacks(strategy: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        doubt_of(Pool(probs([0.1, 0.2]), Policy.uniform(["A", "B"], 0.5)), strategy)
    assert caught.value.code == code


def test_ties_keep_their_order_and_a_doubt_that_is_no_number_is_refused() -> None:
    assert most_doubtful(np.array([1.0, 2.0, 1.0, 2.0]), 3).tolist() == [1, 3, 0]
    assert most_doubtful(np.zeros(0), 3).tolist() == []
    with pytest.raises(ValueError, match="not a number"):
        most_doubtful(np.array([np.nan]), 1)
