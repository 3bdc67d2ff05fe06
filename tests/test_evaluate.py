"""What the figures of a report are, held against small tables counted by hand and against scikit-learn."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from tagdesk.evaluate import bootstrap, brier, ece, evaluate, precision_recall, reliability
from tagdesk.evaluate.bootstrap import figures

NAMES = ["Billing", "Access", "Refund"]
#                  Billing Access Refund
TARGETS = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool)
DECIDED = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=bool)
PROBS = np.array(
    [[0.9, 0.1, 0.2], [0.8, 0.1, 0.4], [0.1, 0.3, 0.7], [0.2, 0.6, 0.1], [0.3, 0.2, 0.4]], dtype=np.float32
)


def report(targets=TARGETS, probs=PROBS, decided=DECIDED, names=NAMES, **settings):
    return evaluate(targets, probs, decided, names, **settings)


@st.composite
def outcomes(draw, least=1):
    """Targets, probs and decisions of a few tickets; scores on a coarse grid, so that ties and edges of bins occur."""
    tickets, labels = draw(st.integers(least, 12)), draw(st.integers(1, 4))
    cells = tickets * labels

    def matrix(elements, dtype):
        return np.array(draw(st.lists(elements, min_size=cells, max_size=cells)), dtype=dtype).reshape(tickets, labels)

    probs = matrix(st.integers(0, 20), np.float32) / np.float32(20)
    return matrix(st.booleans(), bool), probs, matrix(st.booleans(), bool)


def test_overall_figures_match_a_count_by_hand():
    found = report()
    assert (found.n, found.n_labelled) == (5, 5)
    assert found.exact_match == pytest.approx(1 / 5)
    assert found.hamming_loss == pytest.approx(5 / 15)
    # 2 of 4 given labels are true, 2 of 5 true labels are given
    assert (found.precision_micro, found.recall_micro) == (pytest.approx(2 / 4), pytest.approx(2 / 5))
    assert found.f1_micro == pytest.approx(4 / 9)
    assert found.f1_macro == pytest.approx(1 / 3)
    assert found.f1_weighted == pytest.approx(2 / 5)
    assert found.hit_at_1 == pytest.approx(3 / 4)
    assert found.no_label_rate == pytest.approx(1 / 5)
    assert found.false_alarm_rate == 1.0


def test_figures_of_a_label_match_a_count_by_hand():
    billing, access, refund = report().per_label.values()
    assert (billing.precision, billing.recall, billing.f1) == (1.0, 1.0, 1.0)
    assert (billing.support, billing.predicted, billing.average_precision) == (2, 2, 1.0)
    assert (access.precision, access.recall, access.f1, access.support) == (0.0, 0.0, 0.0, 1)
    assert (refund.recall, refund.support, refund.predicted) == (0.0, 2, 1)
    # Scores .7 wrong, then .4 twice right: both are found at precision 2/3.
    assert refund.average_precision == pytest.approx(2 / 3)
    assert billing.brier == pytest.approx((0.01 + 0.04 + 0.01 + 0.04 + 0.09) / 5)


def test_pairs_say_what_goes_together_and_what_is_given_instead():
    found = report()
    assert found.together() == [("Billing", "Refund", 1)]
    assert found.confused() == [("Access", "Refund", 1)]
    assert found.to_dict()["cooccurrence"]["Refund"] == {"Billing": 1, "Refund": 2}
    assert found.to_dict()["confusion"] == {"Billing": {}, "Access": {"Refund": 1}, "Refund": {}}


def test_most_frequent_pairs_come_first():
    targets = np.array([[1, 1, 0], [0, 1, 1], [0, 1, 1]], dtype=bool)
    found = report(targets, PROBS[:3], ~targets)
    assert [pair.tickets for pair in found.together()] == [2, 1]
    assert [pair.tickets for pair in found.confused()] == [2, 2, 1, 1]


@given(outcomes())
@settings(max_examples=60, deadline=None)
def test_figures_agree_with_scikit_learn(case):
    targets, probs, decided = case
    found = evaluate(targets, probs, decided, [str(i) for i in range(targets.shape[1])], resamples=0)
    for kind, score in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        each = [score(t, d, zero_division=np.nan) for t, d in zip(targets.T, decided.T, strict=True)]
        mine = [getattr(label, kind) for label in found.per_label.values()]
        np.testing.assert_allclose(np.array(mine, dtype=float), each)
        if not np.isnan(each).all():
            assert getattr(found, f"{kind}_macro") == pytest.approx(np.nan_to_num(each).mean())
        flat = score(targets.ravel(), decided.ravel(), zero_division=np.nan)
        assert getattr(found, f"{kind}_micro") == (None if np.isnan(flat) else pytest.approx(flat))
    assert found.exact_match == pytest.approx(metrics.accuracy_score(targets, decided))
    assert found.hamming_loss == pytest.approx(metrics.hamming_loss(targets, decided))
    assert found.brier == pytest.approx(metrics.mean_squared_error(targets, probs))
    json.dumps(found.to_dict(), allow_nan=False)


@given(outcomes(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_figures_of_a_resample_agree_with_scikit_learn(case, seed):
    targets, probs, decided = case
    tickets, labels = targets.shape
    drawn = np.random.default_rng(seed).integers(tickets, size=tickets)
    hits = targets[np.arange(tickets), probs.argmax(axis=1)]
    found = figures(targets, decided, hits, np.bincount(drawn, minlength=tickets)[None])
    # With a column that is always right, one label is a problem of the same kind as several.
    t, d = np.c_[targets[drawn], np.ones(tickets, bool)], np.c_[decided[drawn], np.ones(tickets, bool)]
    each = metrics.f1_score(t, d, average=None, zero_division=np.nan)[:labels]
    np.testing.assert_allclose(found.f1[0], each)
    expected = {
        "exact_match": metrics.accuracy_score(t, d),
        "hamming_loss": metrics.hamming_loss(t[:, :labels], d[:, :labels]),
        "f1_micro": metrics.f1_score(t[:, :labels].ravel(), d[:, :labels].ravel(), zero_division=np.nan),
        "f1_macro": np.nan if np.isnan(each).all() else np.nan_to_num(each).mean(),
        "f1_weighted": metrics.f1_score(t, d, labels=range(labels), average="weighted", zero_division=0),
        "hit_at_1": hits[drawn].sum() / max(1, targets[drawn].any(axis=1).sum()),
    }
    if not targets[drawn].any():
        expected |= {"f1_weighted": np.nan, "hit_at_1": np.nan}
    for name, value in expected.items():
        np.testing.assert_allclose(found.overall[name], [value], err_msg=name)


@given(outcomes())
@settings(max_examples=60, deadline=None)
def test_ece_agrees_with_the_calibration_curve_of_scikit_learn(case):
    targets, probs, _ = case
    for truth, scores, mine in zip(targets.T, probs.T, ece(targets, probs), strict=True):
        positive, mean = calibration_curve(truth, scores, n_bins=10)
        counts = np.histogram(np.searchsorted(np.linspace(0, 1, 11)[1:-1], scores), bins=range(11))[0]
        assert mine == pytest.approx(np.average(np.abs(positive - mean), weights=counts[counts > 0]), abs=1e-6)


def test_a_score_that_keeps_its_word_has_no_calibration_error():
    targets = np.array([[1], [1], [1], [0]], dtype=bool)
    assert ece(targets, np.full((4, 1), 0.75, dtype=np.float32)).tolist() == [0.0]
    assert ece(targets, np.full((4, 1), 0.25, dtype=np.float32)).tolist() == [0.5]


def test_every_score_falls_into_one_bin():
    curve = reliability(TARGETS, PROBS, bins=4)
    assert curve.count.sum(axis=1).tolist() == [5, 5, 5]
    ends = reliability(np.array([[0], [1]], dtype=bool), np.array([[0.0], [1.0]], dtype=np.float32))
    assert ends.count.tolist() == [[1, 0, 0, 0, 0, 0, 0, 0, 0, 1]]


def test_the_last_bin_of_one_label_is_not_the_first_of_the_next():
    curve = reliability(np.ones((1, 2), dtype=bool), np.array([[1.0, 0.0]], dtype=np.float32), bins=2)
    assert curve.count.tolist() == [[0, 1], [1, 0]]


def test_precision_recall_curve_ends_at_recall_zero():
    curve = precision_recall(TARGETS[:, 2], PROBS[:, 2])
    assert curve.recall.tolist()[-2:] == [0.0, 0.0]
    assert curve.precision.tolist()[-3:] == pytest.approx([2 / 3, 0.0, 1.0])


def test_without_tickets_every_figure_is_undefined():
    nothing = np.zeros((0, 3))
    found = report(nothing.astype(bool), nothing.astype(np.float32), nothing.astype(bool)).to_dict()
    assert (found["n"], found["n_labelled"], found["intervals"]) == (0, 0, {})
    assert {name for name, value in found.items() if isinstance(value, float)} == {"confidence"}
    assert found["per_label"]["Billing"] == {
        **dict.fromkeys(("precision", "recall", "f1", "average_precision", "ece", "brier", "f1_interval")),
        "support": 0,
        "predicted": 0,
    }
    assert np.isnan(ece(nothing.astype(bool), nothing.astype(np.float32))).all()
    assert np.isnan(brier(nothing.astype(bool), nothing.astype(np.float32))).all()


def test_unlabelled_tickets_are_counted_and_not_scored():
    known = np.array([True, True, True, False, False])
    some, alone = report(known=known), report(TARGETS[:3], PROBS[:3], DECIDED[:3])
    assert (some.n, some.n_labelled) == (5, 3)
    assert some.no_label_rate == pytest.approx(1 / 5)
    assert some.per_label["Access"].predicted == 1
    figures_of_truth = ("exact_match", "hamming_loss", "f1_micro", "f1_macro", "hit_at_1", "ece", "brier", "intervals")
    assert [getattr(some, name) for name in figures_of_truth] == [getattr(alone, name) for name in figures_of_truth]


def test_a_file_without_any_labels_still_tells_what_was_given():
    found = report(known=np.zeros(5, dtype=bool))
    assert (found.n, found.n_labelled, found.exact_match, found.f1_macro, found.ece) == (5, 0, None, None, None)
    assert found.no_label_rate == pytest.approx(1 / 5)
    assert [label.predicted for label in found.per_label.values()] == [2, 1, 1]


def test_silence_where_silence_is_right_has_no_f1_and_a_full_exact_match():
    nothing = np.zeros((4, 3), dtype=bool)
    found = report(nothing, np.zeros((4, 3), dtype=np.float32), nothing)
    assert (found.exact_match, found.f1_macro, found.f1_micro, found.f1_weighted) == (1.0, None, None, None)
    assert (found.false_alarm_rate, found.hit_at_1, found.average_precision_macro) == (0.0, None, None)
    assert (found.intervals["f1_macro"], found.intervals["hit_at_1"]) == (None, None)
    assert found.intervals["exact_match"] == (1.0, 1.0)


def test_false_alarms_where_nothing_is_deserved_score_zero():
    found = report(np.zeros((5, 3), dtype=bool))
    assert (found.f1_micro, found.precision_micro, found.recall_micro) == (0.0, 0.0, None)
    assert found.false_alarm_rate == pytest.approx(4 / 5)


def test_a_label_that_nobody_deserves_or_gets_counts_as_zero_in_the_macro_mean():
    targets = np.array([[True, False]])
    found = report(targets, targets.astype(np.float32), targets, ["a", "b"])
    assert (found.f1_macro, found.per_label["b"].f1, found.per_label["b"].f1_interval) == (0.5, None, None)
    assert found.average_precision_macro == 1.0


def test_a_perfect_model_is_perfect_for_one_label_and_one_ticket():
    one = np.array([[True]])
    found = report(one, one.astype(np.float32), one, ["only"])
    assert (found.exact_match, found.f1_micro, found.f1_macro, found.f1_weighted, found.hit_at_1) == (1.0,) * 5
    assert (found.hamming_loss, found.ece, found.brier, found.false_alarm_rate) == (0.0, 0.0, 0.0, None)


def test_only_the_positive_class_of_a_single_label_counts():
    targets, decided = np.array([[1], [0], [0], [0]], dtype=bool), np.array([[1], [1], [0], [0]], dtype=bool)
    found = report(targets, decided.astype(np.float32), decided, ["only"])
    assert (found.precision_micro, found.precision_macro, found.precision_weighted) == (0.5, 0.5, 0.5)
    assert (found.recall_macro, found.exact_match) == (1.0, 0.75)


def test_intervals_hold_their_figure_and_narrow_with_more_tickets():
    few, many = report(), report(*(np.tile(part, (40, 1)) for part in (TARGETS, PROBS, DECIDED)))
    for name, (low, high) in many.intervals.items():
        assert low <= getattr(many, name) <= high
        assert high - low < few.intervals[name][1] - few.intervals[name][0]
    low, high = many.per_label["Billing"].f1_interval
    assert low == high == 1.0


def test_intervals_of_a_share_are_those_of_the_binomial():
    # 100 tickets, 70 right: the 95 % interval of the binomial share is .61 to .79.
    targets = np.ones((100, 1), dtype=bool)
    decided = np.arange(100)[:, None] < 70
    low, high = report(targets, decided.astype(np.float32), decided, ["a"]).intervals["exact_match"]
    assert (low, high) == (pytest.approx(0.61, abs=0.015), pytest.approx(0.79, abs=0.015))


def test_same_seed_same_intervals():
    targets, decided = np.tile(TARGETS, (9, 1)), np.tile(DECIDED, (9, 1))
    probs = np.tile(PROBS, (9, 1))
    first, again, other = (report(targets, probs, decided, seed=seed, resamples=99) for seed in (1, 1, 2))
    assert first == again
    assert first.intervals != other.intervals


def test_intervals_do_not_depend_on_how_the_draws_are_cut(monkeypatch):
    whole = report(resamples=50).intervals
    monkeypatch.setattr(bootstrap, "_CELLS", 1)
    assert report(resamples=50).intervals == whole


def test_without_resamples_there_are_no_intervals():
    found = report(resamples=0)
    assert (found.intervals, found.per_label["Billing"].f1_interval) == ({}, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"probs": PROBS[:4]}, "the same"),
        ({"targets": TARGETS[0]}, "the same"),
        ({"names": ["a", "b"]}, "2 names for 3 columns"),
        ({"names": ["a", "b", "b"]}, "each once"),
        ({"known": np.ones(4, dtype=bool)}, "one value per ticket"),
        ({"probs": np.where(PROBS > 0.8, np.nan, PROBS)}, "finite"),
        ({"probs": PROBS * 2}, "0..1"),
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"resamples": -1}, ">= 0"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        report(**change)


def test_the_report_is_json_without_nan():
    text = json.dumps(report().to_dict(), allow_nan=False)
    found = json.loads(text)
    assert found["per_label"]["Billing"]["f1"] == 1.0
    assert len(found["intervals"]["f1_macro"]) == 2


def test_importing_costs_no_scikit_learn():
    code = "import sys, tagdesk.evaluate; print(sorted({'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
