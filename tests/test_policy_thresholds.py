import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.metrics import f1_score

from tagdesk.errors import UsageError
from tagdesk.policy import Objective, fit, parse_objective
from tagdesk.policy.thresholds import best, common, cuts_between, implied, observed, proven, worth

OBJECTIVES = ["f1_macro", "f1_micro", "exact_match", "cost:fp=1,fn=5", "precision>=0.8"]
NAMES = ["A", "B"]


def _column(*scores):
    return np.array(scores, dtype=np.float32)[:, np.newaxis]


def _drawn(n, labels, seed, shape=(0.3, 1.2)):
    """Scores that are true probabilities, with targets drawn from them."""
    chance = np.random.default_rng(seed)
    probs = chance.beta(*shape, (n, labels)).astype(np.float32)
    return chance.random((n, labels)) < probs, probs


# Cuts


def test_tied_scores_stay_together():
    targets = np.array([True, False, True, False])
    cuts = cuts_between(targets, np.array([0.5, 0.5, 0.25, 0.5], dtype=np.float32))
    assert cuts.thresholds.tolist() == [0.375, 0.125]
    assert (cuts.hits.tolist(), cuts.misses.tolist()) == ([1, 2], [2, 2])


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32)), max_size=30))
def test_every_cut_gives_what_it_says(rows):
    targets = np.array([row[0] for row in rows], dtype=np.bool_)
    scores = np.array([row[1] for row in rows], dtype=np.float32)
    cuts = cuts_between(targets, scores)
    assert len(cuts.thresholds) == len(set(scores.tolist()))
    for threshold, hits, misses in zip(*cuts, strict=True):
        given_labels = scores >= np.float32(threshold)
        assert (int((given_labels & targets).sum()), int((given_labels & ~targets).sum())) == (hits, misses)


def test_scores_that_touch_are_still_parted():
    low = np.float32(0.3)
    scores = np.array([np.nextafter(low, np.float32(1)), low], dtype=np.float32)
    cut = np.float32(cuts_between(np.array([True, False]), scores).thresholds[0])
    assert (scores >= cut).tolist() == [True, False]


# What an objective is worth


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_f1_is_that_of_scikit_learn(average):
    targets, probs = _drawn(80, 4, seed=1)
    labels = probs >= 0.4
    expected = f1_score(targets, labels, average=average, zero_division=0)
    assert worth(targets, labels, Objective(f"f1_{average}")) == pytest.approx(expected)


def test_exact_match_and_cost_by_hand():
    targets = np.array([[True, False], [True, True], [False, False]])
    labels = np.array([[True, False], [False, True], [True, False]])
    assert worth(targets, labels, Objective("exact_match")) == pytest.approx(1 / 3)
    assert worth(targets, labels, Objective("cost", 2.0, 5.0)) == -7.0


# Fitting


def test_observed_optimum_beats_every_other_threshold():
    targets, probs = _drawn(60, 1, seed=2)
    for text in ("f1_macro", "f1_micro", "exact_match", "cost:fp=1,fn=5"):
        objective = parse_objective(text)
        found = observed(targets, probs, objective, np.array([0.5]), np.array([0]))
        reached = worth(targets, probs >= found, objective)
        assert all(worth(targets, probs >= cut, objective) <= reached + 1e-12 for cut in probs.ravel())


@pytest.mark.parametrize("text", ["f1_macro", "f1_micro", "exact_match", "cost:fp=1,fn=5"])
def test_ascent_never_ends_below_its_start(text):
    targets, probs = _drawn(150, 5, seed=3)
    objective = parse_objective(text)
    start = np.full(5, common(targets, probs, objective))
    found = observed(targets, probs, objective, start, np.arange(5))
    assert worth(targets, probs >= found, objective) >= worth(targets, probs >= start, objective)


@pytest.mark.parametrize("text", ["f1_macro", "f1_micro", "cost:fp=1,fn=5", "cost:fp=5,fn=1"])
def test_fitted_thresholds_serve_new_tickets_better_than_a_half(text):
    objective = parse_objective(text)
    policy = fit(*_drawn(400, 7, seed=4), [str(label) for label in range(7)], objective)
    targets, probs = _drawn(20_000, 7, seed=5)
    assert worth(targets, policy.decide(probs) > 0, objective) > worth(targets, probs >= 0.5, objective)


def test_cost_threshold_of_true_probabilities_is_near_the_price_ratio():
    thresholds = best(*_drawn(20_000, 3, seed=6), Objective("cost", 1.0, 4.0))
    assert thresholds == pytest.approx([0.2] * 3, abs=0.03)


def test_thresholds_implied_by_true_probabilities_are_the_best_ones():
    targets, probs = _drawn(50_000, 2, seed=15)
    for text in ("f1_macro", "f1_micro"):
        objective = parse_objective(text)
        assert implied(probs, objective, 0.5) == pytest.approx([common(targets, probs, objective)] * 2, abs=0.03)


def test_rare_labels_share_the_common_threshold():
    targets, probs = _drawn(300, 4, seed=7)
    targets[:, 1] = False
    targets[:, 2] = False
    targets[:4, 2] = True
    objective = Objective("f1_macro")
    thresholds = best(targets, probs, objective)
    shared = common(targets, probs, objective)
    assert (thresholds == shared).tolist() == [False, True, True, False]


@pytest.mark.parametrize("text", OBJECTIVES)
@pytest.mark.parametrize("targets", [np.zeros((20, 2), np.bool_), np.ones((20, 2), np.bool_)])
@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_nothing_to_tell_apart_still_gives_a_policy(text, targets, score):
    policy = fit(targets, np.full((20, 2), score, dtype=np.float32), NAMES, parse_objective(text))
    assert (policy.automate >= policy.suggest).all()
    assert text.startswith("precision") or np.isfinite(policy.suggest).all()


@pytest.mark.parametrize("text", OBJECTIVES)
@pytest.mark.parametrize("n", [0, 1, 2])
def test_hardly_any_tickets_give_a_common_threshold_and_automate_nothing(text, n):
    policy = fit(*_drawn(n, 2, seed=8), NAMES, parse_objective(text))
    assert policy.fitted_on == n
    assert len(set(policy.suggest.tolist())) == 1
    assert np.isinf(policy.automate).all()


def test_single_label_is_fitted_for_every_objective():
    for text in OBJECTIVES:
        assert fit(*_drawn(400, 1, seed=9, shape=(0.1, 0.2)), ["A"], parse_objective(text)).suggest.shape == (1,)


def test_automate_precision_is_checked():
    with pytest.raises(UsageError, match="between 0 and 1"):
        fit(*_drawn(5, 2, seed=0), NAMES, Objective("f1_macro"), automate_precision=1.0)


def test_same_input_gives_the_same_policy():
    drawn = _drawn(200, 2, seed=10)
    assert fit(*drawn, NAMES, Objective("f1_micro")).id == fit(*drawn, NAMES, Objective("f1_micro")).id


def test_ten_thousand_tickets_of_28_labels_take_seconds():
    targets, probs = _drawn(10_000, 28, seed=11)
    start = time.perf_counter()
    fit(targets, probs, [str(label) for label in range(28)], Objective("exact_match"))
    assert time.perf_counter() - start < 10


# Promises about precision


def test_bound_is_that_of_clopper_and_pearson():
    targets = np.arange(200)[:, np.newaxis] < 150  # the 150 highest are right, the rest wrong
    probs = _column(*np.linspace(1, 0, 200))
    assert beta.ppf(0.025, 150, 1 + 8) > 0.9 > beta.ppf(0.025, 150, 1 + 9)  # 8 wrong ones may be let in, not 9
    threshold = proven(targets, probs, 0.9, np.zeros(1))[0]
    assert (probs >= threshold).sum() == 158


def test_few_tickets_prove_nothing_however_right_they_are():
    targets = np.ones((71, 1), dtype=np.bool_)
    assert np.isinf(proven(targets, np.ones((71, 1), dtype=np.float32), 0.95, np.zeros(1))).all()
    assert np.isfinite(proven(np.ones((72, 1), np.bool_), np.ones((72, 1), np.float32), 0.95, np.zeros(1))).all()


def test_automating_never_begins_below_suggesting():
    targets, probs = _drawn(3000, 2, seed=12, shape=(0.1, 0.1))
    policy = fit(targets, probs, NAMES, Objective("cost", 50.0, 1.0), automate_precision=0.6)
    assert (policy.automate >= policy.suggest).all()
    assert np.isfinite(policy.automate).all()


@pytest.mark.parametrize("shape", [(0.3, 1.2), (0.12, 0.5), (2.0, 2.0), (5.0, 0.7)])
def test_promised_precision_is_kept_out_of_sample_nineteen_times_in_twenty(shape):
    truth = np.sort(np.random.default_rng(0).beta(*shape, 200_000))[::-1]
    precision = truth.cumsum() / np.arange(1, len(truth) + 1)  # of all above each score
    targets, probs = _drawn(600, 600, seed=13, shape=shape)  # every label is one experiment
    thresholds = proven(targets, probs, 0.9, np.zeros(600))
    above = np.searchsorted(-truth, -thresholds, side="right")
    broken = np.isfinite(thresholds) & (precision[np.maximum(above - 1, 0)] < 0.9)
    assert broken.mean() <= 0.05


def test_scores_that_say_nothing_seldom_get_a_promise():
    chance = np.random.default_rng(14)
    targets = chance.random((1000, 600)) < 0.88  # always two points short of what is promised
    thresholds = proven(targets, chance.random((1000, 600)).astype(np.float32), 0.9, np.zeros(600))
    assert np.isfinite(thresholds).mean() <= 0.05
