"""How far two windows differ in one figure, how sure that is, and how likely chance alone would do it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray

_Z = 1.959964  # 95 % of a normal distribution lie between -z and z
_BAND = 1.358099  # 95 % of Kolmogorov's distribution lie below


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure in both windows.

    Attributes:
        reference: the figure before.
        current: the figure now.
        low, high: a 95 % interval of `effect`.
        p: the probability of so large a difference, or a larger one, between windows of the same traffic.
    """

    reference: float
    current: float
    low: float
    high: float
    p: float

    @property
    def effect(self) -> float:
        """The change from before to now."""
        return self.current - self.reference


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its standard error."""

    value: float
    error: float


def shares(reference: BoolArray, current: BoolArray) -> Difference:
    """The share of the tickets of which something holds, each (tickets,) with at least one ticket.

    The p-value is Fisher's exact one in its mid-p form, twice that of the likelier side: one rule for a handful and for
    a million, where it is what the usual z-test gives. Its rate of false alarms stays at the nominal one for few
    tickets too (Lydersen et al. 2009), where the plain exact test alarms much too rarely. The interval is Newcombe's
    (1998, method 10).

    >>> found = shares(np.arange(500) < 45, np.arange(500) < 95)
    >>> found.reference, found.current, f"{found.low:.3f} to {found.high:.3f}", f"{found.p:.6f}"
    (0.09, 0.19, '0.057 to 0.143', '0.000005')
    """
    from scipy.stats import hypergeom  # noqa: PLC0415 - slow to import

    before, now = int(np.count_nonzero(reference)), int(np.count_nonzero(current))
    n_before, n_now = len(reference), len(current)
    drawn = now, n_before + n_now, before + now, n_now
    half = float(hypergeom.pmf(*drawn)) / 2
    p = min(1.0, 2 * min(float(hypergeom.cdf(*drawn)) - half, float(hypergeom.sf(*drawn)) + half))
    low, high = _newcombe(before, n_before, now, n_now)
    return Difference(before / n_before, now / n_now, low, high, max(p, 0.0))  # rounding may leave -1e-17


def shapes(reference: FloatArray, current: FloatArray) -> tuple[Difference, float]:
    """How the values of all tickets are spread, each (tickets,) with at least one ticket; and where that differs most.

    The p-value is that of Kolmogorov and Smirnov's test. The figures are the shares of the tickets that lie above the
    value at which these differ most, which is the test's statistic; their interval allows for looking at every value.

    >>> found, cut = shapes(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6]))
    >>> cut, found.reference, found.current
    (2.0, 0.5, 1.0)
    """
    from scipy.stats import ks_2samp  # noqa: PLC0415 - slow to import

    test = ks_2samp(reference, current, method="asymp")  # exact p-values cost seconds, and differ little from 100 on
    cut = float(test.statistic_location)
    before, now = float((reference > cut).mean()), float((current > cut).mean())
    half = _BAND * math.sqrt(1 / len(reference) + 1 / len(current))
    low, high = max(-1.0, now - before - half), min(1.0, now - before + half)
    return Difference(before, now, low, high, float(test.pvalue)), cut


def estimates(reference: Estimate, current: Estimate) -> Difference:
    """Two figures that were estimated apart, by a z-test.

    >>> found = estimates(Estimate(1.0, 0.03), Estimate(1.1, 0.04))
    >>> f"{found.low:.3f} to {found.high:.3f}, p {found.p:.4f}"
    '0.002 to 0.198, p 0.0455'
    """
    from scipy.stats import norm  # noqa: PLC0415 - slow to import

    effect, error = current.value - reference.value, math.hypot(reference.error, current.error)
    half = _Z * error
    certain = 0.0 if effect else 1.0  # where neither can be off
    p = 2 * float(norm.sf(abs(effect) / error)) if error else certain
    return Difference(reference.value, current.value, effect - half, effect + half, p)


def mean(values: FloatArray) -> Estimate:
    """The mean of at least two values, (tickets,).

    >>> mean(np.array([1.0, 2.0, 3.0])).value
    2.0
    """
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)))


def _newcombe(before: int, n_before: int, now: int, n_now: int) -> tuple[float, float]:
    """An interval of the difference of two shares, from Wilson's interval of each."""
    old, old_low, old_high = _wilson(before, n_before)
    new, new_low, new_high = _wilson(now, n_now)
    effect = new - old
    return effect - math.hypot(new - new_low, old_high - old), effect + math.hypot(new_high - new, old - old_low)


def _wilson(count: int, n: int) -> tuple[float, float, float]:
    """A share with its interval."""
    share, spread = count / n, _Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    return share, middle - half, middle + half
