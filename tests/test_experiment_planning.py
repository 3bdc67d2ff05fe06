from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, binom

from tagdesk.errors import UsageError
from tagdesk.experiment import (
    Chances,
    Size,
    days,
    error_for_means,
    error_for_shares,
    power_for_means,
    power_for_shares,
    sample_ratio,
    size_for_means,
    size_for_shares,
)
from tagdesk.experiment.sample_ratio import CONCENTRATION


def test_sizes_for_shares_are_those_of_r():
    # ?power.prop.test: power.prop.test(n = 50, p1 = .50, p2 = .75) gives 0.740; with power = .90, n = 76.7
    assert power_for_shares(0.5, 0.75, Size(50, 50)) == pytest.approx(0.740, abs=5e-4)
    assert size_for_shares(0.5, 0.75, Chances(power=0.9)) == Size(77, 77)
    assert size_for_shares(0.75, 0.5, Chances(power=0.9)) == Size(77, 77)


def test_sizes_for_means_are_those_of_r():
    # ?power.t.test: power.t.test(n = 20, delta = 1) gives 0.8689528; with power = .90, n = 22.02110
    assert power_for_means(1, 1, Size(20, 20)) == pytest.approx(0.8689528, abs=1e-7)
    assert size_for_means(1, 1, Chances(power=0.9)) == Size(23, 23)
    assert power_for_means(1, 1, Size(22, 22)) < 0.9 < power_for_means(1, 1, Size(23, 23))
    assert size_for_means(-10, 10, Chances(power=0.9)) == Size(23, 23)


def test_an_effect_as_large_as_can_be_takes_a_handful():
    assert size_for_means(100, 1).current <= 3
    assert size_for_shares(0, 1).current <= 10


@pytest.mark.parametrize("ratio", [0.25, 1, 4])
def test_a_size_has_the_power_it_was_planned_for(ratio):
    chances = Chances(0.05, 0.8, ratio)
    shares, means = size_for_shares(0.7, 0.73, chances), size_for_means(2, 30, chances)
    assert power_for_shares(0.7, 0.73, shares) == pytest.approx(0.8, abs=0.001)
    assert power_for_means(2, 30, means) == pytest.approx(0.8, abs=0.001)
    assert shares.challenger / shares.current == pytest.approx(ratio, rel=0.001)


def test_equal_groups_take_the_fewest_units():
    total = [
        sum((size.current, size.challenger)) for size in (size_for_means(1, 10, Chances(ratio=r)) for r in (1, 2, 4))
    ]
    assert total == sorted(total)


@pytest.mark.parametrize("ratio", [1, 4])
def test_a_planned_share_is_found_as_often_as_it_says(ratio):
    rng = np.random.default_rng(0)
    size = size_for_shares(0.7, 0.75, Chances(ratio=ratio))
    ours, theirs = (rng.binomial(n, p, 4000) for n, p in ((size.current, 0.7), (size.challenger, 0.75)))
    pooled = (ours + theirs) / (size.current + size.challenger)
    error = np.sqrt(pooled * (1 - pooled) * (1 / size.current + 1 / size.challenger))
    z = (theirs / size.challenger - ours / size.current) / error
    assert (np.abs(z) > 1.96).mean() == pytest.approx(0.8, abs=0.02)


def test_errors_are_those_of_the_closed_form():
    assert error_for_shares(0.7, 0.73, Size(1000, 2000)) == pytest.approx(math.sqrt(0.21 / 1000 + 0.1971 / 2000))
    assert error_for_means(3, Size(9, 16)) == pytest.approx(3 * math.sqrt(1 / 9 + 1 / 16))


def test_days_are_those_of_the_slower_variant():
    assert days(Size(900, 100), 100, {"a": 0.9, "b": 0.1}) == 10
    assert days(Size(900, 101), 100, {"a": 0.9, "b": 0.1}) == 11
    assert days(Size(100, 100), 50, {"a": 0.25, "b": 0.25}) == 8  # half of the units go to other variants


@pytest.mark.parametrize(
    "ask",
    [
        lambda: Chances(alpha=0),
        lambda: Chances(power=1),
        lambda: Chances(alpha=0.5, power=0.4),
        lambda: Chances(ratio=0),
        lambda: Chances(ratio=math.nan),
        lambda: size_for_shares(0.7, 0.7),
        lambda: size_for_shares(0.7, 1.1),
        lambda: size_for_shares(math.nan, 0.7),
        lambda: size_for_means(0, 1),
        lambda: size_for_means(1, 0),
        lambda: size_for_means(math.inf, 1),
        lambda: days(Size(1, 1), 0, {"a": 0.5, "b": 0.5}),
        lambda: days(Size(1, 1), 5, {"a": 1.0}),
        lambda: days(Size(1, 1), 5, {"a": 1.0, "b": 0.0}),
    ],
)
def test_a_plan_that_cannot_be_says_why(ask):
    with pytest.raises(UsageError, match="expected") as refused:
        ask()
    assert refused.value.code == "bad_plan"


EVEN = {"a": 0.5, "b": 0.5}


def test_the_evidence_on_a_split_is_that_of_the_mixture():
    hits, units = 620, 1100
    half = CONCENTRATION / 2
    area, _ = quad(lambda p: binom.pmf(hits, units, p) * beta.pdf(p, half, half), 0.3, 0.8, epsabs=0, epsrel=1e-10)
    found = sample_ratio({"a": hits, "b": units - hits}, EVEN)
    assert found.p == pytest.approx(binom.pmf(hits, units, 0.5) / area, rel=1e-6)


def test_a_broken_split_is_found_and_a_whole_one_is_not():
    rng = np.random.default_rng(0)
    broken = [sample_ratio({"a": n, "b": 20_000 - n}, EVEN).is_broken for n in rng.binomial(20_000, 0.52, 200)]
    whole = [sample_ratio({"a": n, "b": 20_000 - n}, EVEN).is_broken for n in rng.binomial(20_000, 0.5, 200)]
    assert np.mean(broken) > 0.9
    assert sum(whole) <= 4


def test_looking_daily_raises_no_more_alarms():
    rng = np.random.default_rng(1)
    counts = rng.binomial(500, 0.5, (120, 30)).cumsum(axis=1)
    alarms = once = 0
    for row in counts:
        found = [sample_ratio({"a": n, "b": 500 * day - n}, EVEN) for day, n in enumerate(row.tolist(), 1)]
        alarms += any(each.is_broken for each in found)
        once += any(each.p_once <= 0.01 for each in found)
    assert alarms <= 3
    assert once >= 4  # the chi-squared test does not stand it


def test_uneven_shares_are_judged_by_what_was_meant():
    shares = {"a": 0.9, "b": 0.1, "c": 0.0}
    assert not sample_ratio({"a": 9000, "b": 1000, "c": 0}, shares).is_broken
    assert sample_ratio({"a": 9000, "b": 1000, "c": 0}, shares).p_once == 1
    assert sample_ratio({"a": 9000, "b": 1000, "c": 1}, shares).is_broken  # nobody was meant to be there
    assert sample_ratio({"a": 5000, "b": 5000}, shares).is_broken


def test_no_units_are_no_broken_split():
    found = sample_ratio({}, EVEN)
    assert (found.p, found.p_once, found.is_broken) == (pytest.approx(1), 1, False)
    assert found.sentence == "The split is as planned: a 0 (expected 0), b 0 (expected 0) units."


def test_a_broken_split_says_what_to_do():
    sentence = sample_ratio({"a": 10_400, "b": 9_600}, EVEN).sentence
    assert sentence.startswith("The split is broken, so no result is shown: a 10,400 (expected 10,000), b 9,600")
    assert "Look for" in sentence


@pytest.mark.parametrize(
    ("counts", "shares"),
    [({"z": 1}, EVEN), ({"a": -1}, EVEN), ({"a": 1}, {"a": 0.5}), ({"a": 1}, {"a": math.nan, "b": 0.5})],
)
def test_counts_that_fit_no_shares_are_a_programmers_mistake(counts, shares):
    with pytest.raises(ValueError, match="expected"):
        sample_ratio(counts, shares)
