"""How far two windows differ in one figure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, hypergeom, norm

from tagdesk.drift.difference import Difference, Estimate, estimates, mean, shapes, shares


def holds(count: int, n: int) -> np.ndarray:
    return np.arange(n) < count


def test_the_p_value_of_shares_is_twice_the_smaller_mid_p_tail() -> None:
    # 1 of 4 before, 3 of 4 now: with 4 in all, of the 4 tickets of now 3 have it in 16 ways of 70, and 4 in 1.
    assert shares(holds(1, 4), holds(3, 4)).p == pytest.approx(2 * (16 / 70 / 2 + 1 / 70))
    assert shares(holds(3, 4), holds(1, 4)).p == pytest.approx(2 * (16 / 70 / 2 + 1 / 70))


def test_of_a_million_tickets_the_p_value_of_shares_is_that_of_the_z_test() -> None:
    n, before, now = 1_000_000, 90_000, 90_800
    both = (before + now) / (2 * n)
    z = (now - before) / n / math.sqrt(2 * both * (1 - both) / n)
    assert shares(holds(before, n), holds(now, n)).p == pytest.approx(2 * norm.sf(z), rel=0.01)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2, 0.5])
@pytest.mark.parametrize(("n_before", "n_now"), [(100, 100), (100, 400)])
@pytest.mark.parametrize("level", [0.05, 0.002])
def test_shares_alarm_no_oftener_than_they_should(rate: float, n_before: int, n_now: int, level: float) -> None:
    """Counted out over all results, not drawn."""
    before, now = np.meshgrid(np.arange(n_before + 1), np.arange(n_now + 1), indexing="ij")
    drawn = now, n_before + n_now, before + now, n_now
    half = hypergeom.pmf(*drawn) / 2
    p = np.minimum(1, 2 * np.minimum(hypergeom.cdf(*drawn) - half, hypergeom.sf(*drawn) + half))
    assert shares(holds(7, n_before), holds(20, n_now)).p == pytest.approx(p[7, 20])  # the same rule
    chances = np.outer(binom.pmf(np.arange(n_before + 1), n_before, rate), binom.pmf(np.arange(n_now + 1), n_now, rate))
    assert chances[p <= level].sum() <= 1.25 * level


def test_the_interval_of_shares_is_newcombes() -> None:
    # Newcombe 1998, table II: 56/70 against 48/80 by method 10.
    found = shares(holds(48, 80), holds(56, 70))
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)
    assert found.effect == pytest.approx(0.2)


@pytest.mark.parametrize(("before", "now"), [(0, 0), (10, 10)])
def test_what_never_or_always_holds_does_not_differ(before: int, now: int) -> None:
    found = shares(holds(before, 10), holds(now, 10))
    assert (found.effect, found.p) == (0, pytest.approx(1))
    assert found.low < 0 < found.high


def test_windows_of_very_different_size_are_compared() -> None:
    assert shares(holds(100_000, 1_000_000), holds(9, 10)).p < 1e-6
    assert shares(holds(100_000, 1_000_000), holds(1, 10)).p > 0.5


def test_the_figures_of_shapes_are_shares_above_the_value_where_these_differ_most() -> None:
    found, cut = shapes(np.arange(100.0), np.arange(100.0) + 30)
    assert found.current - found.reference == pytest.approx(0.3)
    assert 29 <= cut < 100
    assert found.p < 0.001
    assert found.low == pytest.approx(0.3 - 1.358099 * math.sqrt(2 / 100))


def test_values_below_may_differ_most_too() -> None:
    found, cut = shapes(np.arange(100.0), np.arange(100.0) - 30)
    assert found.effect == pytest.approx(-0.3)
    assert -1 <= cut < 100


def test_equal_or_constant_values_have_one_shape() -> None:
    for values in (np.arange(200.0), np.zeros(200), np.ones(200)):
        found, _ = shapes(values, values)
        assert (found.effect, found.p) == (0, 1)
    apart, cut = shapes(np.zeros(200), np.ones(200))
    assert (apart.reference, apart.current, cut) == (0, 1, 0)
    assert apart.p < 1e-9


def test_the_interval_of_a_shape_excludes_0_just_where_the_test_proves_it() -> None:
    generator = np.random.default_rng(0)
    for shift in np.linspace(0, 0.6, 30):
        found, _ = shapes(generator.normal(size=150), generator.normal(size=150) + shift)
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_the_interval_of_a_shape_stays_among_shares() -> None:
    found, _ = shapes(np.zeros(3), np.ones(3))
    assert (found.low, found.high) == (pytest.approx(1 - 1.358099 * math.sqrt(2 / 3), abs=1e-6), 1)


def test_estimates_without_error_differ_certainly_or_not_at_all() -> None:
    assert estimates(Estimate(1, 0), Estimate(1, 0)) == Difference(1, 1, 0, 0, 1)
    assert estimates(Estimate(1, 0), Estimate(2, 0)) == Difference(1, 2, 1, 1, 0)


def test_the_mean_comes_with_its_standard_error() -> None:
    found = mean(np.array([1.0, 3.0]))
    assert (found.value, found.error) == (2, 1)
