from __future__ import annotations

import math

import numpy as np
import pytest

from tagdesk.compare import Answers, Bootstrap, Finding, Pairs, judge
from tagdesk.errors import UsageError
from tagdesk.evaluate import evaluate
from tagdesk.tune.goal import Goal, coverage, parse_goal


def probs(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def once(targets: np.ndarray) -> np.ndarray:
    return np.ones((1, len(targets)))


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("f1_macro", Goal("f1_macro")),
        (" Exact_Match ", Goal("exact_match")),
        ("coverage@precision>=.95", Goal("coverage", 0.95)),
        ("coverage @ precision >= 0.5", Goal("coverage", 0.5)),
    ],
)
def test_goals_are_read_however_they_are_spaced(text: str, goal: Goal) -> None:
    assert parse_goal(text) == goal
    assert parse_goal(str(goal)) == goal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "accuracy",
        "coverage",
        "coverage@precision>=1",
        "coverage@precision>=0",
        "coverage@precision>=nan",
        "f1" * 99,
    ],
)
def test_goals_that_are_none_are_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(UsageError, match="f1_macro, f1_micro, exact_match, coverage@precision"):
        parse_goal(text)


@pytest.mark.parametrize("kind", ["f1_macro", "f1_micro", "exact_match"])
def test_a_goal_is_the_figure_that_reports_give(kind: str) -> None:
    rng = np.random.default_rng(0)
    targets, scores = rng.random((40, 3)) < 0.4, rng.random((40, 3)).astype(np.float32)
    report = evaluate(targets, scores, scores > 0.5, ["A", "B", "C"], resamples=0)
    assert Goal(kind).of(targets, scores, scores > 0.5) == pytest.approx(getattr(report, kind))


def test_coverage_goes_on_below_a_mistake_that_later_hits_make_good() -> None:
    # At .9 a hit, at .8 a mistake (1 of 2), then hits: 2 of 3, 3 of 4 are right.
    targets = np.array([[True], [False], [True], [True], [False]])
    scores = probs([0.9], [0.8], [0.7], [0.6], [0.1])
    assert coverage(targets, scores, once(targets), 0.75)[0] == pytest.approx(4 / 5)
    assert coverage(targets, scores, once(targets), 0.76)[0] == pytest.approx(1 / 5)


def test_a_ticket_counts_once_however_many_labels_it_gets() -> None:
    targets = np.array([[True, True], [False, False]])
    assert coverage(targets, probs([0.9, 0.8], [0.1, 0.1]), once(targets), 0.9)[0] == 0.5


def test_equal_scores_are_on_one_side_of_the_cut() -> None:
    targets = np.array([[True], [False]])
    assert coverage(targets, probs([0.5], [0.5]), once(targets), 0.6)[0] == 0
    assert coverage(targets, probs([0.5], [0.5]), once(targets), 0.5)[0] == 1


def test_nineteen_of_twenty_are_ninety_five_percent() -> None:
    targets = np.arange(20)[:, np.newaxis] > 0
    assert coverage(targets, probs(*[[0.9]] * 20), once(targets), 0.95)[0] == 1


def test_coverage_is_zero_where_the_precision_is_never_reached_and_undefined_without_tickets() -> None:
    targets = np.array([[False], [False]])
    weights = np.array([[1.0, 1.0], [0.0, 0.0]])
    found = coverage(targets, probs([0.9], [0.8]), weights, 0.5)
    assert found[0] == 0
    assert math.isnan(found[1])
    assert math.isnan(coverage(targets[:0], probs([0.9])[:0], np.ones((1, 0)), 0.5)[0])


def test_tickets_weigh_as_often_as_they_are_drawn() -> None:
    targets, scores = np.array([[True], [False]]), probs([0.9], [0.8])
    found = coverage(targets, scores, np.array([[3.0, 1.0], [1.0, 1.0], [0.0, 2.0]]), 0.75)
    assert found.tolist() == [1.0, 0.5, 0.0]


def test_a_figure_without_any_label_is_undefined() -> None:
    nothing = np.zeros((5, 2), dtype=np.bool_)
    assert math.isnan(Goal("f1_micro").of(nothing, nothing.astype(np.float32), nothing))


def answers(right: np.ndarray, targets: np.ndarray) -> Answers:
    """Sure of every label, and of the true one where `right`."""
    said = np.where(right[:, np.newaxis], targets, ~targets)
    return Answers(said, np.where(said, 0.9, 0.1).astype(np.float32))


@pytest.mark.parametrize("goal", [Goal("exact_match"), Goal("coverage", 0.9)])
def test_one_that_is_right_far_more_often_is_better_and_the_same_is_not(goal: Goal) -> None:
    rng = np.random.default_rng(1)
    targets = np.eye(2, dtype=np.bool_)[rng.integers(2, size=200)]
    good, bad = answers(rng.random(200) < 0.95, targets), answers(rng.random(200) < 0.6, targets)
    how = Bootstrap(resamples=200)
    assert judge(goal.difference(Pairs(targets, bad, good, ("A", "B")), how)).finding is Finding.BETTER
    assert judge(goal.difference(Pairs(targets, good, bad, ("A", "B")), how)).finding is Finding.WORSE
    same = goal.difference(Pairs(targets, good, good, ("A", "B")), how)
    assert (same.value, same.interval) == (0, (0, 0))
    assert judge(same).finding is Finding.UNSHOWN


def test_the_interval_of_coverage_holds_the_difference() -> None:
    rng = np.random.default_rng(2)
    targets = np.eye(3, dtype=np.bool_)[rng.integers(3, size=300)]
    sure = [
        Answers(p > 0.5, p) for p in ((rng.random((300, 3)) * 0.7 + 0.3 * targets).astype(np.float32) for _ in "ab")
    ]
    found = Goal("coverage", 0.6).difference(Pairs(targets, *sure, ("A", "B", "C")), Bootstrap(resamples=300))
    assert found.interval is not None
    assert found.interval[0] < found.value < found.interval[1]
    assert found.words.startswith("coverage at 60% precision")
