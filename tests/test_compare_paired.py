from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from tagdesk.compare import (
    FIGURES,
    Answers,
    Bootstrap,
    Finding,
    Pairs,
    by_label,
    compare,
    difference_of_shares,
    differences,
    holm,
    judge,
    mcnemar,
)
from tagdesk.compare.paired import blind_to, least_differing, mcnemar_counts
from tagdesk.compare.resampled import average_precision_macro, draws, ece
from tagdesk.compare.swaps import label_p_values
from tagdesk.errors import UsageError
from tagdesk.evaluate import evaluate

NAMES = ("Billing", "Access", "Refund")
QUICK = Bootstrap(resamples=300)


def world(tickets, seed=0, skill=(1.0, 1.0)):
    """Labels, and the answers of two models that see them through noise; the more skill, the less of it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, (tickets, 3))
    targets = rng.random((tickets, 3)) < 1 / (1 + np.exp(-logits))
    said = []
    for each in skill:
        probs = (1 / (1 + np.exp(-(logits + rng.normal(0, 1 / each, logits.shape))))).astype(np.float32)
        said.append(Answers(probs > 0.5, probs))
    return Pairs(targets, *said, NAMES)


def exactness(current, challenger, units=None):
    """Pairs of one label in which each ticket is right or wrong as given."""
    true = np.ones((len(current), 1), dtype=bool)
    ours, theirs = (Answers(np.array(right, dtype=bool)[:, None]) for right in (current, challenger))
    return Pairs(true, ours, theirs, ("A",), units)


def test_figures_are_those_of_a_report():
    pairs = world(120)
    for found, said in ((0, pairs.current), (1, pairs.challenger)):
        report = evaluate(pairs.targets, said.probs, said.decided, NAMES, resamples=0)
        for difference in differences(pairs, tuple(FIGURES), QUICK):
            mine = (difference.current, difference.challenger)[found]
            assert mine == pytest.approx(getattr(report, difference.figure.name), abs=1e-6), difference.figure.name


@given(st.integers(1, 25), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_figures_of_a_resample_are_those_of_the_tickets_drawn(tickets, seed):
    rng = np.random.default_rng(seed)
    targets, probs = rng.random((tickets, 2)) < 0.4, (rng.integers(0, 11, (tickets, 2)) / 10).astype(np.float32)
    drawn = rng.integers(0, tickets, tickets)
    weights = np.bincount(drawn, minlength=tickets).astype(np.float64)[None]
    labels = [label for label in range(2) if targets[drawn, label].any()]
    expected = [average_precision_score(targets[drawn, label], probs[drawn, label]) for label in labels]
    mine = average_precision_macro(targets, probs, weights)[0]
    assert mine == pytest.approx(np.mean(expected)) if labels else math.isnan(mine)
    report = evaluate(targets[drawn], probs[drawn], probs[drawn] > 0.5, ["a", "b"], resamples=0)
    assert ece(targets, probs, weights)[0] == pytest.approx(report.ece, abs=1e-6)


def test_identical_models_are_exactly_nought_apart():
    pairs = world(400)
    same = Pairs(pairs.targets, pairs.current, pairs.current, NAMES)
    for found in differences(same, tuple(FIGURES), QUICK):
        assert found.value == 0
        assert found.interval == (0, 0)
        assert judge(found).finding is Finding.UNSHOWN
    assert mcnemar(same).p == 1
    assert all(label.f1.value == 0 and label.f1.p == 1 for label in by_label(same, QUICK))
    assert compare(same, margin=0.01, how=QUICK).finding is Finding.NOT_WORSE


def test_a_clearly_better_model_is_found_in_every_figure():
    pairs = world(1500, skill=(0.4, 2.0))
    for found in differences(pairs, tuple(FIGURES), QUICK):
        assert judge(found).is_better, judge(found).sentence
        turned = Pairs(pairs.targets, pairs.challenger, pairs.current, NAMES)
        assert judge(differences(turned, [found.figure.name], QUICK)[0]).is_worse


def test_intervals_hold_the_true_difference_about_as_often_as_they_say():
    truth = differences(world(40_000, seed=99, skill=(0.7, 1.0)), ["exact_match", "f1_macro"], Bootstrap(resamples=1))
    held = []
    for seed in range(150):
        found = differences(world(150, seed, (0.7, 1.0)), ["exact_match", "f1_macro"], Bootstrap(seed, 150))
        held.append([f.interval[0] <= t.value <= f.interval[1] for f, t in zip(found, truth, strict=True)])
    assert (np.mean(held, axis=0) > 0.88).all()
    assert (np.mean(held, axis=0) < 0.99).all()


def test_the_same_tickets_for_both_make_the_interval_narrow():
    hard = np.random.default_rng(0).random(1000) < 0.4
    ours, theirs = hard | (np.arange(1000) < 30), hard | (np.arange(1000) >= 960)  # alike but for a few tickets
    paired = differences(exactness(~ours, ~theirs), how=QUICK)[0]
    apart = difference_of_shares(FIGURES["exact_match"], (int((~ours).sum()), 1000), (int((~theirs).sum()), 1000))
    assert paired.value == pytest.approx(apart.value)
    assert paired.interval[1] - paired.interval[0] < (apart.interval[1] - apart.interval[0]) / 2


def test_no_ticket_says_nothing():
    empty = np.zeros((0, 3), dtype=bool)
    nothing = Answers(empty, empty.astype(np.float32))
    pairs = Pairs(empty, nothing, nothing, NAMES)
    for found in differences(pairs, tuple(FIGURES)):
        verdict = judge(found, 0.01)
        assert verdict.finding is Finding.UNDEFINED
        assert "there is no ticket" in verdict.sentence
        json.dumps(verdict.to_dict(), allow_nan=False)
    assert mcnemar(pairs).p == 1
    assert [label.recall.value for label in by_label(pairs)] == [None, None, None]


def test_one_ticket_shows_nothing_whatever_came_of_it():
    for right in ((False, True), (True, False), (True, True)):
        pairs = exactness([right[0]], [right[1]])
        assert compare(pairs, margin=0.01, how=QUICK).finding is Finding.UNSHOWN
        assert compare(pairs, "f1_micro", how=QUICK).finding is Finding.UNSHOWN


def test_a_handful_of_tickets_shows_nothing_even_if_all_speak_for_one():
    assert least_differing(0.95) == 6
    five, six = (exactness([False] * n + [True] * 94, [True] * (n + 94)) for n in (5, 6))
    assert differences(five, how=QUICK)[0].interval[0] >= 0
    assert compare(five, how=QUICK).finding is Finding.UNSHOWN
    assert "on 5 of 99 tickets" in compare(five, how=QUICK).sentence
    assert compare(six, how=QUICK).is_better
    assert mcnemar(five).p > 0.05 > mcnemar(six).p


def test_few_tickets_that_agree_do_not_prove_that_no_harm_is_done():
    agreeing = {n: exactness([True] * n, [True] * n) for n in (200, 400)}
    assert blind_to(200, 0.95) > 0.01 > blind_to(400, 0.95)
    assert compare(agreeing[200], margin=0.01, how=QUICK).finding is Finding.UNSHOWN
    assert compare(agreeing[400], margin=0.01, how=QUICK).finding is Finding.NOT_WORSE


def test_tickets_of_one_customer_count_together():
    rng = np.random.default_rng(1)
    swing = np.repeat(rng.random(60) < 0.6, 30)  # a whole customer is won or lost
    pairs = exactness(~swing, swing)
    by_customer = exactness(~swing, swing, [f"c{i // 30}" for i in range(1800)])
    one, other = (differences(each, how=QUICK)[0] for each in (pairs, by_customer))
    assert one.value == other.value
    assert (one.units, other.units) == (1800, 60)
    widths = [found.interval[1] - found.interval[0] for found in (one, other)]
    assert widths[1] == pytest.approx(widths[0] * math.sqrt(30), rel=0.2)
    assert judge(one).is_better
    assert judge(other).finding is Finding.UNSHOWN


def test_units_of_one_ticket_each_are_no_units_at_all():
    pairs = world(200, skill=(1, 2))
    named = Pairs(pairs.targets, pairs.current, pairs.challenger, NAMES, [str(i) for i in range(200)])
    for kind in ("f1_micro", "ece"):
        assert differences(pairs, [kind], QUICK)[0].interval == differences(named, [kind], QUICK)[0].interval


def test_units_are_drawn_as_wholes():
    units, rows = np.array([0, 0, 1, 2]), np.array([0, 1, 0, 2])
    (weights,) = draws(units, rows, Bootstrap(resamples=500))
    both = weights[:, 1]  # row 1 is in unit 0 alone, so that row 0 is there at least as often
    assert (weights[:, 0] >= both).all()
    assert (both + (weights[:, 0] - both) + weights[:, 2] == 3).all()
    assert weights.mean(axis=0) == pytest.approx([2, 1, 1], abs=0.15)


def test_mcnemar_is_that_of_a_published_example():
    # Approval of a prime minister, asked twice (Agresti, Categorical Data Analysis, section 10.1): 150 and 86 changed
    # their minds; exact p 3.716e-05 in the documentation of R's exact2x2.
    found = mcnemar_counts(86, 150)
    assert found.p == pytest.approx(3.716e-05, rel=1e-3)
    pairs = exactness([True] * 86 + [False] * 150 + [True] * 794, [False] * 86 + [True] * 150 + [True] * 794)
    assert mcnemar(pairs) == found


def test_a_label_that_nobody_deserves_is_undefined_rather_than_nought():
    targets = np.array([[True, False]] * 50)
    ours, theirs = Answers(targets), Answers(np.array([[False, True]] * 50))
    missed, absent = by_label(Pairs(targets, ours, theirs, ("A", "B")), QUICK)
    assert (missed.support, absent.support) == (50, 0)
    assert (missed.recall.value, missed.recall.p) == (-1, pytest.approx(0.0001))
    assert absent.recall.value is None
    assert absent.f1.value is None  # never given by the current model: there is nothing to be better than
    assert absent.f1.challenger == 0
    assert judge(absent.recall).finding is Finding.UNDEFINED


def test_swapping_gives_the_p_value_of_the_binomial_test_where_there_is_one():
    current = np.array([True] * 4 + [False] * 14 + [True] * 50)
    challenger = np.array([False] * 4 + [True] * 14 + [True] * 50)
    pairs = exactness(current, challenger)
    _, recall = label_p_values(pairs, swaps=40_000)
    assert recall[0] == pytest.approx(mcnemar(pairs).p, abs=0.004)


def test_swapping_swaps_whole_customers():
    swing = np.repeat([True] * 4 + [False] * 2, 20)
    alone, together = (
        label_p_values(exactness(~swing, swing, units))[1][0] for units in (None, [f"c{i // 20}" for i in range(120)])
    )
    assert alone < 0.001
    assert together == pytest.approx(44 / 64, abs=0.02)  # of 2**6 ways to swap, those with 4 or more on one side


def test_labels_without_a_difference_are_seldom_called_different():
    p_values = np.array([holm(label_p_values(world(150, seed), seed, 400)[0]) for seed in range(80)])
    assert (p_values.min(axis=1) <= 0.05).sum() <= 9  # 4 expected of 80


def test_labels_are_compared_one_by_one():
    pairs = world(1500)
    worse = pairs.challenger.decided.copy()
    worse[:, 2] &= np.random.default_rng(0).random(1500) < 0.6
    found = by_label(Pairs(pairs.targets, pairs.current, Answers(worse), NAMES), QUICK)
    assert [judge(label.recall).is_worse for label in found] == [False, False, True]
    assert judge(found[2].recall).sentence.startswith("Challenger is worse: recall of Refund -")


def test_the_calibration_of_few_tickets_shows_nothing():
    pairs = world(300, skill=(0.2, 3.0))
    found = differences(pairs, ["ece"], QUICK)[0]
    assert found.interval[1] < 0
    assert judge(found, 0.05).finding is Finding.UNSHOWN


def test_the_same_seed_gives_the_same_interval():
    pairs = world(100)
    assert compare(pairs, how=QUICK) == compare(pairs, how=QUICK)
    assert compare(pairs, how=QUICK) != compare(pairs, how=Bootstrap(1, 300))


def test_what_cannot_be_compared_is_refused_with_a_remedy():
    true = np.ones((4, 1), dtype=bool)
    pairs = Pairs(true, Answers(true), Answers(true), ("A",))
    with pytest.raises(UsageError, match="expected one of exact_match") as unknown:
        compare(pairs, "accuracy")
    assert unknown.value.code == "unknown_figure"
    with pytest.raises(UsageError, match="expected probabilities") as missing:
        compare(pairs, "ece")
    assert missing.value.code == "no_probabilities"


@pytest.mark.parametrize(
    "arguments",
    [
        {"targets": np.ones(4, dtype=bool)},
        {"targets": np.ones((4, 0), dtype=bool), "names": ()},
        {"names": ("A", "A")},
        {"names": ("A",)},
        {"units": ["c"]},
        {"current": Answers(np.ones((3, 2), dtype=bool))},
        {"current": Answers(np.ones((4, 2), dtype=bool), np.full((4, 2), np.nan, dtype=np.float32))},
        {"current": Answers(np.ones((4, 2), dtype=bool), np.full((4, 2), 1.5, dtype=np.float32))},
    ],
)
def test_arrays_that_do_not_fit_are_a_programmers_mistake(arguments):
    true = np.ones((4, 2), dtype=bool)
    usual = {"targets": true, "current": Answers(true), "challenger": Answers(true), "names": ("A", "B")}
    with pytest.raises(ValueError, match="expected"):
        Pairs(**usual | arguments)
    with pytest.raises(ValueError, match="expected"):
        Bootstrap(resamples=0)
