from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from tagdesk.compare import Difference, Figure, Finding, judge
from tagdesk.experiment import Chances, Mixture, p_values, size_factor, watch
from tagdesk.experiment.sequential import FEWEST, chance_to_end

EXACT = Figure("exact_match", "exact match")
PLAN = Mixture.for_error(0.01)


def look(value, error, units=1000, **more):
    return Difference(EXACT, 0.7, 0.7 + value, (0.0, 0.0), units, error=error, **more)


def test_the_evidence_is_that_of_the_mixture_of_effects():
    mixture, value, error = Mixture(0.03, 0.01), 0.025, 0.012

    def both(effect):
        humps = (norm.pdf(effect, 0.03, 0.01) + norm.pdf(effect, -0.03, 0.01)) / 2
        return humps * norm.pdf(value, effect, error)

    ratio = quad(both, -0.2, 0.2, points=[-0.03, 0.03])[0] / norm.pdf(value, 0, error)
    assert mixture.log_evidence(np.array([value]), np.array([error]))[0] == pytest.approx(math.log(ratio))


@pytest.mark.parametrize("units", [100, 1000, 50_000])
def test_one_hump_gives_the_published_confidence_sequence(units):
    # Waudby-Smith et al. (2024), "Time-uniform central limit theory and asymptotic confidence sequences", theorem 2.2
    deviation, rho, alpha = 0.7, 0.05, 0.05
    inside = 2 * (units * rho**2 + 1) / (units**2 * rho**2) * math.log(math.sqrt(units * rho**2 + 1) / alpha)
    mixture = Mixture(0.0, rho * deviation)
    assert mixture.radius(deviation / math.sqrt(units), alpha) == pytest.approx(deviation * math.sqrt(inside))


@given(st.floats(0, 5), st.floats(0.01, 5), st.floats(1e-3, 10), st.sampled_from([0.01, 0.05, 0.2]))
@settings(max_examples=60, deadline=None)
def test_at_the_end_of_the_interval_the_evidence_is_just_enough(centre, spread, error, alpha):
    mixture = Mixture(centre, spread)
    radius = mixture.radius(error, alpha)
    assert mixture.log_evidence(np.array([radius]), np.array([error]))[0] == pytest.approx(math.log(1 / alpha))


def test_the_interval_is_wider_than_that_of_one_look_and_narrows():
    radii = [PLAN.radius(0.01 * math.sqrt(30 / day), 0.05) for day in range(1, 61)]
    assert (np.diff(radii) < 0).all()
    assert radii[29] / 0.01 == pytest.approx(2.757, abs=0.001)  # 1.96 at one look
    assert PLAN.radius(1e-6, 0.05) < 1e-5


def test_the_p_value_only_falls():
    rng = np.random.default_rng(0)
    looks = [look(rng.normal(0, 0.02), 0.02) for _ in range(40)]
    p = [each.p for each in watch(looks, PLAN)]
    assert p == sorted(p, reverse=True)
    values, errors = np.array([each.value for each in looks]), np.full(40, 0.02)
    assert p_values(PLAN, values, errors) == pytest.approx(p)


def test_the_p_value_and_the_interval_say_the_same_at_a_first_look():
    for value in np.linspace(0.02, 0.03, 21):
        (found,) = watch([look(value, 0.01)], PLAN)
        assert (found.p <= 0.05) == (found.interval[0] >= 0)


def test_nought_is_seldom_left_out_however_often_one_looks():
    rng = np.random.default_rng(0)
    sums = rng.normal(0, 1, (3000, 200)).cumsum(axis=1)
    days = np.arange(1, 201)
    values, errors = sums / days, np.broadcast_to(1 / np.sqrt(days), sums.shape)
    mixture = Mixture.for_error(1 / math.sqrt(30))
    assert (p_values(mixture, values, errors)[:, -1] <= 0.05).mean() <= 0.05
    assert (np.abs(values / errors) > 1.96).any(axis=1).mean() > 0.3


def test_the_chance_to_end_is_that_of_a_simulation():
    rng = np.random.default_rng(1)
    mixture = Mixture.for_error(1.0)
    times = np.arange(1, 11) / 10
    for drift in (0.0, 3.4):
        paths = (rng.normal(0, math.sqrt(0.1), (8000, 10)) + drift / 10).cumsum(axis=1) / times
        ended = p_values(mixture, paths, np.broadcast_to(1 / np.sqrt(times), paths.shape))[:, -1] <= 0.05
        assert chance_to_end(mixture, drift, looks=10) == pytest.approx(ended.mean(), abs=0.015)


def test_the_chance_to_end_at_one_look_is_that_of_the_normal_distribution():
    mixture = Mixture(0.0, 3.0)
    z = mixture.radius(1.0, 0.05)
    assert chance_to_end(mixture, 2.0, looks=1) == pytest.approx(norm.sf(z - 2) + norm.cdf(-z - 2), abs=1e-9)


def test_looking_daily_costs_half_as_many_units_again():
    assert size_factor() == pytest.approx(1.466, abs=0.005)
    drift = math.sqrt(size_factor()) * (norm.ppf(0.975) + norm.ppf(0.8))
    assert chance_to_end(Mixture.for_error(1.0), drift) == pytest.approx(0.8, abs=0.002)
    assert chance_to_end(Mixture.for_error(1.0), 0.0) <= 0.05
    strict = Chances(alpha=0.01)
    assert chance_to_end(Mixture.for_error(1.0, 0.01), 0.0, 0.01) <= 0.01
    assert 1 < size_factor(strict) < size_factor()


def test_two_humps_need_fewer_units_than_the_best_single_one():
    drift = math.sqrt(size_factor()) * (norm.ppf(0.975) + norm.ppf(0.8))
    single = max(chance_to_end(Mixture(0.0, spread), drift) for spread in (2.0, 2.5, 3.0, 3.5, 4.0, 5.0))
    assert single < 0.75 < chance_to_end(Mixture.for_error(1.0), drift)


def test_a_look_at_too_few_units_says_so_and_forgets_nothing():
    early, later, gap = watch([look(0.9, 0.001, FEWEST - 1), look(0.05, 0.01), look(0.0, 0.01, 0)], PLAN)
    assert (early.interval, early.p) == (None, None)
    assert "too few for a first look" in judge(early).sentence
    assert judge(later).is_better
    assert (gap.interval, gap.p) == (None, later.p)


def test_what_has_no_value_or_no_spread_shows_nothing():
    undefined = Difference(EXACT, None, 0.5, None, 1000, doubt="nobody deserves it")
    flat = look(0.1, 0.0, doubt="all alike", blind_to=math.inf)
    for found in watch([undefined, flat], PLAN):
        assert judge(found, 0.01).finding is Finding.UNDEFINED
        assert found.is_always_valid
    assert watch([], PLAN) == []


def test_a_difference_without_error_is_a_programmers_mistake():
    with pytest.raises(ValueError, match="expected a standard error"):
        watch([look(0.1, None)], PLAN)
    with pytest.raises(ValueError, match="expected"):
        Mixture(-1.0, 1.0)
    with pytest.raises(ValueError, match="above 0"):
        Mixture(1.0, 0.0)
