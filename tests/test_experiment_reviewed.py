from __future__ import annotations

import math

import numpy as np
import pytest

from tagdesk.compare import Figure, Group, difference, estimate
from tagdesk.errors import UsageError
from tagdesk.experiment import adjust, review_probability, review_shares, review_weights

EXACT = Figure("exact_match", "exact match")


def reviewed(rng, skill, audit=0.1, tickets=4000):
    """Outcomes of the reviewed tickets of one variant, and their probabilities of review; doubt goes with error."""
    sure = rng.beta(4, 2, tickets)
    right = rng.random(tickets) < np.clip(sure + skill, 0, 1)
    probability = review_probability(audit, (1 - sure) ** 2)
    seen = rng.random(tickets) < probability
    return right[seen].astype(float), probability[seen], right.mean()


def test_reviewing_doubtful_tickets_alone_biases_the_plain_mean_and_not_the_weighted_one():
    rng = np.random.default_rng(0)
    plain, weighted = [], []
    for _ in range(200):
        right, probability, truth = reviewed(rng, 0.0)
        plain.append(right.mean() - truth)
        weighted.append(estimate(Group(right, weights=review_weights(probability))).value - truth)
    assert np.mean(plain) < -0.05
    assert abs(np.mean(weighted)) < 3 * np.std(weighted) / math.sqrt(200)


def test_weighted_differences_hold_the_true_one_as_often_as_they_say():
    rng = np.random.default_rng(1)
    sure, held = rng.beta(4, 2, 1_000_000), []
    truth = np.clip(sure + 0.03, 0, 1).mean() - sure.mean()
    for _ in range(300):
        found = [reviewed(rng, skill, tickets=2000) for skill in (0.0, 0.03)]
        groups = [Group(right, weights=review_weights(probability)) for right, probability, _ in found]
        low, high = difference(EXACT, *groups).interval
        held.append(low <= truth <= high)
    assert 0.91 < np.mean(held) < 0.985


def test_who_is_drawn_is_reviewed_for_certain_and_who_is_picked_as_well():
    assert review_probability(0.2, np.array([1.0, 0.0, 0.5])).tolist() == pytest.approx([1, 0.2, 0.6])
    assert review_probability(1.0, np.zeros(2)).tolist() == [1, 1]
    assert review_weights(np.array([0.25])).tolist() == [4]
    assert review_weights(np.zeros(0)).shape == (0,)


def test_without_an_audit_nothing_is_known_of_the_rest():
    with pytest.raises(UsageError, match="draw a few per cent") as refused:
        review_probability(0.0, np.array([1.0]))
    assert refused.value.code == "no_audit"
    with pytest.raises(ValueError, match="probabilities"):
        review_probability(0.5, np.array([1.2]))
    for wrong in (0.0, 1.1, math.nan):
        with pytest.raises(ValueError, match="above 0"):
            review_weights(np.array([wrong]))


def test_unequal_reviewing_is_noticed_and_equal_reviewing_is_not():
    assert review_shares({"a": 1000, "b": 1000}, {"a": 100, "b": 160}).differs
    even = review_shares({"a": 1000, "b": 500}, {"a": 100, "b": 52})
    assert not even.differs
    assert even.sentence == "The variants are reviewed alike: a 10.0 %, b 10.4 %."
    # A two-by-two table by hand: chi-squared = n (ad - bc)^2 / (the product of the margins) = 4.97
    assert review_shares({"a": 100, "b": 100}, {"a": 20, "b": 34}).p == pytest.approx(0.0258, abs=0.0002)


def test_nothing_reviewed_or_everything_is_alike():
    for seen in ({}, {"a": 10, "b": 20}):
        assert review_shares({"a": 10, "b": 20}, seen).p == 1
    none = review_shares({"a": 10, "b": 0}, {"a": 4})
    assert (none.p, none.shares["b"]) == (1, None)
    assert review_shares({}, {}).p == 1
    assert "none answered" in none.sentence


@pytest.mark.parametrize("seen", [{"z": 1}, {"a": 11}, {"a": -1}])
def test_reviews_of_what_was_not_answered_are_a_programmers_mistake(seen):
    with pytest.raises(ValueError, match="expected"):
        review_shares({"a": 10}, seen)


def units(rng, rho, size=4000):
    before = rng.normal(10, 2, size)
    return before, 5 + rho * (before - 10) / 2 + math.sqrt(1 - rho**2) * rng.normal(0, 1, size)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_the_variance_falls_by_the_square_of_the_correlation(rho):
    rng = np.random.default_rng(0)
    before, outcomes = units(rng, rho)
    groups = rng.integers(0, 2, len(before))
    found = adjust(outcomes, before, groups)
    assert found.reduction == pytest.approx(rho**2, abs=0.03)
    assert found.values.mean() == pytest.approx(outcomes.mean())
    assert found.slope == pytest.approx(rho / 2, abs=0.02)


def test_an_effect_is_not_taken_for_the_covariate():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        before, outcomes = units(rng, 0.8, 300)
        groups = rng.integers(0, 2, 300)
        values = adjust(outcomes + 0.5 * groups, before, groups).values
        found.append(values[groups == 1].mean() - values[groups == 0].mean())
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)
    assert np.std(found) < 0.8 * math.sqrt(4 / 300)


def test_groups_that_differ_in_both_lend_the_covariate_nothing():
    before, groups = np.array([0.0, 1.0, 0.0, 1.0, 9.0, 8.0, 9.0, 8.0]), np.repeat([0, 1], 4)
    outcomes = 10.0 * groups + np.array([1.0, 1.0, 2.0, 2.0] * 2)
    found = adjust(outcomes, before, groups)
    assert found.slope == 0
    assert found.values.tolist() == outcomes.tolist()


def test_units_without_a_covariate_keep_their_outcome():
    rng = np.random.default_rng(0)
    before, outcomes = units(rng, 0.9)
    before[::2] = np.nan
    found = adjust(outcomes, before, np.zeros(len(before), dtype=np.int64))
    assert found.values[::2].tolist() == outcomes[::2].tolist()
    assert found.reduction == pytest.approx(0.405, abs=0.03)
    nobody = adjust(outcomes, np.full(len(before), np.nan), np.zeros(len(before), dtype=np.int64))
    assert (nobody.slope, nobody.reduction) == (0, 0)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9])
def test_a_constant_covariate_changes_nothing(constant):
    outcomes = np.random.default_rng(0).normal(0, 1, 999)
    found = adjust(outcomes, np.full(999, constant), np.arange(999) % 3)
    assert found.values.tolist() == outcomes.tolist()
    assert (found.slope, found.reduction) == (0, 0)


def test_constant_outcomes_and_no_units_are_no_trouble():
    assert adjust(np.ones(4), np.arange(4.0), np.zeros(4, dtype=np.int64)).reduction == 0
    assert adjust(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64)).values.shape == (0,)


def test_units_that_do_not_fit_are_a_programmers_mistake():
    for arrays in ((np.ones(2), np.ones(3), np.zeros(2)), (np.ones((2, 2)), np.ones((2, 2)), np.zeros((2, 2)))):
        with pytest.raises(ValueError, match="thrice"):
            adjust(*arrays)
    for outcomes, before in (([np.nan, 1], [1, 2]), ([1, 2], [np.inf, 2])):
        with pytest.raises(ValueError, match="finite"):
            adjust(np.array(outcomes, dtype=float), np.array(before, dtype=float), np.zeros(2, dtype=np.int64))
