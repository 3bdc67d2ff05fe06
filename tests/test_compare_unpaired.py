from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from tagdesk.compare import Figure, Finding, Group, difference, difference_of_shares, estimate, judge, relative
from tagdesk.compare.shares import wilson

EXACT = Figure("exact_match", "exact match")
LATENCY = Figure("latency", "latency", lower_is_better=True, unit="ms")


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        # Rosetta Code, "Welch's t-test"
        (
            [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4],
            [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4],
            0.021378001462867,
        ),
        ([3.0, 4.0, 1.0, 2.1], [490.2, 340.0, 433.9], 0.010751561149785),
    ],
)
def test_means_are_compared_as_welch_did(first, second, p):
    found = difference(LATENCY, Group(np.array(first)), Group(np.array(second)))
    assert found.p == pytest.approx(p, rel=1e-9)
    theirs = ttest_ind(second, first, equal_var=False).confidence_interval()
    assert found.interval == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize(
    ("current", "challenger", "low", "high"),
    [  # Newcombe (1998), table II, method 10
        ((48, 80), (56, 70), 0.0524, 0.3339),
        ((3, 10), (9, 10), 0.1705, 0.8090),
        ((2, 7), (6, 7), 0.0582, 0.8062),
        ((0, 29), (5, 56), -0.0381, 0.1926),
        ((0, 20), (0, 10), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((0, 20), (10, 10), 0.6791, 1.0),
        ((0, 10), (10, 10), 0.6075, 1.0),
    ],
)
def test_shares_are_compared_as_newcombe_did(current, challenger, low, high):
    assert difference_of_shares(EXACT, current, challenger).interval == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("hits", "tickets", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_one_share_is_that_of_a_published_table(hits, tickets, low, high):
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3
    assert wilson(hits, tickets) == pytest.approx((low, high), abs=5e-5)


def test_the_lady_tasting_tea_proves_little():
    found = difference_of_shares(EXACT, (1, 4), (3, 4))
    assert found.p == pytest.approx(34 / 70)  # Fisher (1935), two-sided
    assert judge(found).finding is Finding.UNSHOWN


def test_an_interval_that_the_exact_test_doubts_shows_nothing():
    found = difference_of_shares(EXACT, (2, 7), (6, 7))
    assert found.interval[0] > 0
    assert found.p == pytest.approx(0.1026, abs=1e-4)
    assert judge(found).finding is Finding.UNSHOWN
    assert "p 0.10" in judge(found).sentence


def test_hits_and_misses_are_shares_and_anything_else_is_means():
    hits = np.array([0.0, 1.0, 1.0, 1.0] * 10)
    plain = difference(EXACT, Group(hits), Group(1 - hits))
    assert plain.interval == difference_of_shares(EXACT, (30, 40), (10, 40)).interval
    weighted = difference(EXACT, Group(hits, weights=np.full(40, 2.0)), Group(1 - hits))
    assert weighted.value == plain.value
    assert weighted.interval != plain.interval


def test_equal_weights_change_nothing():
    rng = np.random.default_rng(0)
    values = rng.normal(100, 20, 50)
    plain, weighted = (estimate(Group(values, weights=weights)) for weights in (None, np.full(50, 7.0)))
    assert weighted.value == pytest.approx(plain.value)
    assert weighted.variance == pytest.approx(plain.variance) == pytest.approx(values.var(ddof=1) / 50)


def test_units_of_one_ticket_each_change_nothing():
    values = np.random.default_rng(0).normal(100, 20, 50)
    plain, named = (estimate(Group(values, units=units)) for units in (None, [str(i) for i in range(50)]))
    assert named.variance == pytest.approx(plain.variance)
    assert named.units == plain.units == 50


def test_a_ratio_of_sums_over_customers_varies_as_it_says():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(600):
        rate, tickets = rng.beta(4, 4, 80), rng.integers(1, 8, 80)
        units = np.repeat(np.arange(80), tickets)
        hits = (rng.random(len(units)) < rate[units]).astype(float)
        found.append(estimate(Group(hits, units=[str(unit) for unit in units])))
    observed = np.var([each.value for each in found])
    assert np.mean([each.variance for each in found]) == pytest.approx(observed, rel=0.15)
    assert found[0].units == 80


def test_recall_counts_the_tickets_that_deserve_the_label():
    hits, deserved = np.array([1.0, 0.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0, 1.0])
    found = estimate(Group(hits, bottom=deserved))
    assert found.value == pytest.approx(2 / 3)
    assert found.units == 3
    assert found.variance == pytest.approx(np.var([1, 0, 1], ddof=1) / 3)


def test_what_nobody_deserves_is_undefined():
    nothing, some = Group(np.zeros(3), bottom=np.zeros(3)), Group(np.ones(3), bottom=np.ones(3))
    assert estimate(nothing) is None
    found = difference(EXACT, nothing, some)
    assert (found.current, found.challenger, found.interval) == (None, 1.0, None)
    assert judge(found).finding is Finding.UNDEFINED


def test_empty_and_single_tickets_say_nothing():
    for few in (np.zeros(0), np.ones(1)):
        for kind in ({}, {"weights": np.ones(len(few))}):
            found = difference(EXACT, Group(few, **kind), Group(np.array([0.0, 1.0] * 20)))
            assert judge(found, 0.01).finding in {Finding.UNDEFINED, Finding.UNSHOWN}
    assert judge(difference_of_shares(EXACT, (0, 0), (3, 4))).finding is Finding.UNDEFINED


def test_constants_leave_chance_unknown():
    found = difference(LATENCY, Group(np.full(50, 3.0)), Group(np.full(50, 4.0)))
    assert found.error == 0
    assert judge(found, margin=2.0).finding is Finding.UNSHOWN
    assert "alike" in judge(found).sentence


def test_shares_of_nought_in_both_groups_rule_a_loss_out_once_there_are_enough_customers():
    loss = Figure("no_label_rate", "share without a label", lower_is_better=True)
    for units, finding in ((100, Finding.UNSHOWN), (1000, Finding.NOT_WORSE)):
        one = Group(np.zeros(2 * units), units=[str(i // 2) for i in range(2 * units)])
        found = difference(loss, one, one)
        assert judge(found, 0.02).finding is finding
        # About as much as two groups of so many that are compared as plain shares.
        assert found.error == pytest.approx(difference_of_shares(loss, (0, units), (0, units)).error, rel=0.01)
    all_hits = Group(np.ones(50), bottom=np.ones(50), weights=np.array([1.0, 9.0] * 25))
    assert estimate(all_hits).variance == pytest.approx(1 / (50 * 25 / 41 + 2) ** 2, rel=0.05)


def test_intervals_of_means_hold_what_they_say():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(1000):
        weights = [rng.uniform(1, 5, n) for n in (60, 90)]
        first, second = (
            Group(rng.gamma(2, 1, len(w)) + shift, weights=w) for shift, w in zip((0, 1), weights, strict=True)
        )
        low, high = difference(LATENCY, first, second).interval
        held += low <= 1 <= high
    assert 925 <= held <= 968


def test_a_factor_is_that_of_the_logarithms():
    found = relative(Group(np.array([90.0, 100.0, 110.0])), Group(np.array([110.0, 120.0, 130.0])))
    assert found.value == pytest.approx(1.2)
    half = 1.959964 * math.sqrt(100 / 3 / 100**2 + 100 / 3 / 120**2)
    assert found.interval == pytest.approx((1.2 * math.exp(-half), 1.2 * math.exp(half)))
    assert relative(Group(np.array([0.0, 0.0])), Group(np.array([1.0, 2.0]))) is None
    assert relative(Group(np.array([1.0])), Group(np.array([1.0, 2.0]))) is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"top": np.ones((2, 2))},
        {"top": np.array([1.0, np.nan])},
        {"bottom": np.ones(3)},
        {"bottom": np.array([1.0, -1.0])},
        {"weights": np.array([1.0, 0.0])},
        {"weights": np.array([1.0, np.inf])},
        {"units": ["a"]},
    ],
)
def test_groups_that_do_not_fit_are_a_programmers_mistake(arguments):
    with pytest.raises(ValueError, match="expected"):
        Group(**{"top": np.ones(2)} | arguments)


@pytest.mark.parametrize("counts", [(-1, 4), (5, 4)])
def test_counts_that_cannot_be_are_a_programmers_mistake(counts):
    with pytest.raises(ValueError, match="expected"):
        difference_of_shares(EXACT, counts, (1, 4))
    with pytest.raises(ValueError, match="expected"):
        difference_of_shares(EXACT, (1, 4), (1, 4), confidence=1.0)
