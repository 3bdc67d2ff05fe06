from __future__ import annotations

import numpy as np
import pytest

from tagdesk.errors import UsageError
from tagdesk.policy import Policy
from tagdesk.rank import STRATEGIES, Pool, choose
from tagdesk.rank import choosing as choosing_module

TWO = Policy.uniform(["A", "B"], 0.5)


def pool(tickets: int, seed: int = 0) -> Pool:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((tickets, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    scores = rng.random((tickets, 2)).astype(np.float32)
    return Pool(scores, TWO, none=scores[:, 0], embeddings=rows, labelled=np.array([[True, False]]))


def test_a_fifth_of_the_picks_are_random_checks_and_carry_their_chance() -> None:
    picks = choose(pool(400), 50)
    checks = [pick for pick in picks if pick.is_check]
    assert len(picks) == 50
    assert len(checks) == 10
    assert {pick.reason for pick in checks} == {"random check"}
    assert [pick.probability for pick in picks] == pytest.approx([10 / 400] * 50)
    assert all(pick.reason != "random check" for pick in picks if not pick.is_check)


def test_every_ticket_is_as_often_a_check_as_its_probability_says_whatever_its_doubt() -> None:
    tickets = pool(20)
    counts = np.zeros(20)
    rounds = 1000
    for seed in range(rounds):
        for pick in choose(tickets, 7, "margin", audit_share=0.5, seed=seed):
            counts[pick.place] += pick.is_check
    expected = 7 * 0.5 / 20
    assert np.abs(counts / rounds - expected).max() < 4.5 * np.sqrt(expected * (1 - expected) / rounds)


def test_the_share_of_checks_holds_on_average_where_picks_are_made_one_by_one() -> None:
    tickets = pool(30)
    checks = [choose(tickets, 1, "margin", seed=seed)[0].is_check for seed in range(600)]
    assert np.mean(checks) == pytest.approx(0.2, abs=0.07)


def test_no_ticket_is_picked_twice() -> None:
    for share in (0.0, 0.3, 1.0):
        places = [pick.place for pick in choose(pool(40), 40, audit_share=share, seed=3)]
        assert len(set(places)) == len(places) == 40


def test_all_random_is_all_checks_and_none_random_is_no_check() -> None:
    assert all(pick.is_check and pick.probability == 0.25 for pick in choose(pool(40), 10, audit_share=1))
    assert not any(pick.is_check or pick.probability for pick in choose(pool(40), 10, audit_share=0))


def test_checks_are_spread_so_that_who_stops_early_has_done_some() -> None:
    picks = choose(pool(400), 50)
    assert [sum(pick.is_check for pick in picks[start : start + 25]) for start in (0, 25)] == [5, 5]


def test_the_doubtful_picks_come_most_doubtful_first() -> None:
    doubts = [pick.doubt for pick in choose(pool(200), 30) if not pick.is_check]
    assert doubts == sorted(doubts, reverse=True)


def test_near_duplicates_collapse_into_one_pick_that_tells_their_number() -> None:
    rows = np.vstack([np.repeat(np.eye(3, dtype=np.float32)[:1], 8, axis=0), np.eye(3, dtype=np.float32)[1:]])
    picks = choose(Pool(np.full((10, 2), 0.5, dtype=np.float32), TWO, embeddings=rows), 10, audit_share=0)
    assert sorted(pick.likes for pick in picks) == [0, 0, 7]


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_the_same_seed_chooses_the_same_by_every_strategy(strategy: str) -> None:
    first, again = (choose(pool(60), 12, strategy, seed=5) for _ in range(2))
    assert first == again
    assert len(first) == 12


def test_little_and_nothing_are_no_special_case() -> None:
    assert choose(pool(0), 5) == []
    assert choose(pool(5), 0) == []
    assert len(choose(pool(1), 5)) == 1
    assert len(choose(pool(3), 100)) == 3


@pytest.mark.parametrize(("n", "share"), [(-1, 0.2), (3, -0.1), (3, 1.1), (3, float("nan"))])
def test_batches_that_make_no_sense_are_refused(n: int, share: float) -> None:
    with pytest.raises(UsageError) as caught:
        choose(pool(5), n, audit_share=share)
    assert caught.value.code == "bad_batch"


def test_a_huge_pool_is_ranked_in_part_but_checked_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing_module, "MOST_LOOKED_AT", 50)
    tickets = pool(400)
    picks = [pick for seed in range(40) for pick in choose(tickets, 10, seed=seed)]
    assert all(np.isfinite(pick.doubt) for pick in picks)
    assert len({pick.place for pick in picks if pick.is_check}) > 60


def test_before_anything_is_learned_the_picks_are_unlike() -> None:
    rows = np.repeat(np.eye(10, dtype=np.float32), 30, axis=0)
    rows = rows + 0.1 * np.random.default_rng(0).standard_normal(rows.shape).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    nothing_learned = Pool(np.full((300, 2), 0.1, dtype=np.float32), TWO, embeddings=rows)
    picks = choose(nothing_learned, 10, audit_share=0)
    assert len({pick.place // 30 for pick in picks}) >= 7
