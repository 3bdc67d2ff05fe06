"""Tests at every look: intervals that hold at all looks together, and a p-value that only falls.

A fixed test is right once, at the size that was planned; asked daily, it finds something in a quarter of all
experiments in which there is nothing. Here the likelihood ratio of a mixture of effects against none is a martingale
where there is none, so it seldom ever grows large (Robbins, 1970; Johari, Pekelis and Walsh, 2022, "Always valid
inference"). With an estimated variance that holds for large samples (Waudby-Smith et al., 2024, "Time-uniform central
limit theory and asymptotic confidence sequences").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from tagdesk.arrays import FloatArray
from tagdesk.compare.verdict import Difference
from tagdesk.experiment.planning import Chances

FEWEST = 50  # units in the smaller group before the first look; below, the variance is not known well enough
_NODES = 161  # at which a look's density is known; twice as many change the eighth digit
LOOKS = 30  # that a plan counts on: one a day for a month

# benchmarks/experiments.py compares the two humps with a single one at 0, which needs a sixth more units.
_WIDTH = 0.5  # as a multiple of the error at the planned size


@dataclass(frozen=True, slots=True)
class Mixture:
    """The effects that a test looks out for: two normal humps at `centre` and `-centre`, each of deviation `spread`.

    It tells effects of about `centre` apart from none soonest, and all others too, if later. A centre of 0 is the plain
    normal mixture.

    >>> round(Mixture(0.0, 1.0).radius(0.1, 0.05), 4)
    0.3273
    """

    centre: float
    spread: float

    def __post_init__(self) -> None:
        if not (0 <= self.centre < math.inf and 0 < self.spread < math.inf):
            raise ValueError(f"Centre {self.centre}, spread {self.spread}: expected from 0 up, and above 0.")

    @classmethod
    def for_error(cls, error: float, alpha: float = 0.05) -> Mixture:
        """The mixture that is sharpest when the standard error has fallen to `error`, as at the last planned look."""
        # With narrow humps there, the smallest estimate that ends the test is as small as it can be.
        return cls(math.sqrt(2 * math.log(2 / alpha)) * error, _WIDTH * error)

    def log_evidence(self, value: FloatArray, error: FloatArray) -> FloatArray:
        """Logarithm of the likelihood ratio against no effect, for estimates and their standard errors, (looks,)."""
        square, total = error**2, error**2 + self.spread**2
        away = (value**2 * self.spread**2 - self.centre**2 * square) / (2 * square * total)
        tilt = value * self.centre / total
        found: FloatArray = np.log(square / total) / 2 + away + np.logaddexp(tilt, -tilt) - math.log(2)
        return found

    def radius(self, error: float, alpha: float) -> float:
        """Half the width of the interval that holds at every look with probability 1 - alpha."""
        return float(self.radii(np.array([error]), alpha)[0])

    def radii(self, errors: FloatArray, alpha: float) -> FloatArray:
        """The same for several standard errors, (looks,)."""
        needed = math.log(1 / alpha)
        if self.centre == 0:
            total = errors**2 + self.spread**2
            one_hump: FloatArray = errors * np.sqrt(total * (2 * needed + np.log(total / errors**2))) / self.spread
            return one_hump
        low, high = np.zeros(errors.shape), 4 * errors + 2 * self.centre
        while (short := self.log_evidence(high, errors) < needed).any():
            high = np.where(short, 2 * high, high)
        for _ in range(60):  # the evidence only grows with the distance from 0
            middle = (low + high) / 2
            enough = self.log_evidence(middle, errors) >= needed
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return high


def watch(looks: Sequence[Difference], mixture: Mixture) -> list[Difference]:
    """The same differences, each with an interval and a p-value that hold however often one looks.

    The fixed-horizon interval stands in what was given; it holds at the last planned look alone.

    Args:
        looks: the difference at each look so far, oldest first, each over all units since the start.
        mixture: what the test looks out for, fixed before the first look.

    Raises:
        ValueError: for a difference that has a value and no error.

    >>> from tagdesk.compare.verdict import Figure
    >>> exact = Figure("exact_match", "exact match")
    >>> day = Difference(exact, 0.70, 0.74, (0.02, 0.06), 4000, error=0.01)
    >>> found = watch([day], Mixture.for_error(0.01))[0]
    >>> found.words, round(found.p, 4)
    ('exact match +4.0 points (1.2 to 6.8)', 0.0015)
    """
    found, least = [], 1.0
    for look in looks:
        blank = replace(look, interval=None, p=None, is_always_valid=True, blind_to=0.0)
        if look.value is None or look.units < FEWEST or look.error == 0:
            too_few = f"{look.units} units are too few for a first look, which takes {FEWEST}"
            doubt = too_few if look.units < FEWEST else look.doubt
            found.append(replace(blank, p=least if least < 1 else None, doubt=doubt))
            continue
        if look.error is None or not math.isfinite(look.error):
            raise ValueError(f"{look.figure.words}: expected a standard error with each difference.")
        evidence = mixture.log_evidence(np.array([look.value]), np.array([look.error]))[0]
        least = min(least, math.exp(min(0.0, -float(evidence))))
        radius = mixture.radius(look.error, 1 - look.confidence)
        found.append(replace(blank, interval=(look.value - radius, look.value + radius), p=least, doubt=""))
    return found


def p_values(mixture: Mixture, values: FloatArray, errors: FloatArray) -> FloatArray:
    """The p-value at each look, falling along the last axis, for arrays of one shape (..., looks)."""
    found: FloatArray = np.exp(np.minimum.accumulate(np.minimum(0.0, -mixture.log_evidence(values, errors)), axis=-1))
    return found


@lru_cache(maxsize=64)
def size_factor(chances: Chances | None = None, looks: int = LOOKS) -> float:
    """How many times the size of a fixed test the sequential one needs, to be as powerful by its last planned look.

    That is the most it can take: of the experiments with the planned effect most end well before.

    >>> round(size_factor(), 2)
    1.47
    """
    from scipy.optimize import brentq  # noqa: PLC0415 - slow to import
    from scipy.stats import norm  # noqa: PLC0415 - slow to import

    chances = chances or Chances()
    fixed = float(norm.ppf(1 - chances.alpha / 2) + norm.ppf(chances.power))

    def missing(factor: float) -> float:
        drift = math.sqrt(factor) * fixed
        return chances.power - chance_to_end(Mixture.for_error(1.0, chances.alpha), drift, chances.alpha, looks)

    return float(brentq(missing, 1.0, 4.0, xtol=1e-3))


def chance_to_end(mixture: Mixture, drift: float, alpha: float = 0.05, looks: int = LOOKS) -> float:
    """How often the test has ended by the last of equally spaced looks.

    By integration over the looks (Armitage, McPherson and Rowe, 1969, "Repeated significance tests on accumulating
    data"), for estimates that are normal.

    Args:
        mixture: with the error at the last look as its unit.
        drift: the true effect in that unit; 0 gives the share of false alarms.
        alpha: of the test.
        looks: how many.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    step, done = 1 / looks, np.arange(1, looks + 1) / looks
    # The sum of what was observed is the estimate times the time done, with variance `done`.
    edges = np.minimum(mixture.radii(1 / np.sqrt(done), alpha) * done, abs(drift) * done + 9 * np.sqrt(done))
    points, mass = np.zeros(1), np.ones(1)
    for edge in edges.tolist():
        ahead = nodes * edge
        away = (ahead[:, np.newaxis] - points - drift * step) / math.sqrt(step)
        density = np.exp(-(away**2) / 2) @ mass / math.sqrt(2 * math.pi * step)
        points, mass = ahead, density * weights * edge
    return float(1 - mass.sum())
