"""Compares two groups of different tickets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tagdesk.arrays import FloatArray, IntArray
from tagdesk.compare.shares import difference_of_shares
from tagdesk.compare.verdict import Difference, Figure
from tagdesk.evaluate import Interval


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """What came of the tickets that one variant answered.

    Their figure is sum(weights * top) / sum(weights * bottom): a mean where `bottom` is 1, else a ratio such as micro
    F1 (twice the hits over labels given plus labels deserved).

    Attributes:
        top: (tickets,), what is measured or counted.
        bottom: (tickets,), what it is a share of, never below 0; None: 1 for each ticket.
        weights: (tickets,), above 0: how many tickets each stands for, one over the probability that it was reviewed.
            None: all alike.
        units: (tickets,), whose ticket it is; tickets of one customer count as one observation. None: all on their own.

    Raises:
        ValueError: for arrays of different lengths, and for numbers that are not finite or are below what they may be.

    >>> Group(np.array([1.0, 0.0])).is_plain
    True
    """

    top: FloatArray
    bottom: FloatArray | None = None
    weights: FloatArray | None = None
    units: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name, least in (("top", -math.inf), ("bottom", 0.0), ("weights", np.nextafter(0, 1))):
            given = getattr(self, name)
            if given is None:
                continue
            values = np.asarray(given, dtype=np.float64)
            if values.ndim != 1 or len(values) != len(self.top):
                raise ValueError(f"{name} {values.shape}: expected one number per ticket, ({len(self.top)},).")
            if not (np.isfinite(values) & (values >= least)).all():
                raise ValueError(f"{name}: expected finite numbers{'' if name == 'top' else f', {name} above 0'}.")
            object.__setattr__(self, name, values)
        if self.units is not None and len(self.units) != len(self.top):
            raise ValueError(f"{len(self.units)} units for {len(self.top)} tickets: expected one for each.")

    @property
    def is_plain(self) -> bool:
        """Whether it is a mere list of hits and misses, each on its own."""
        plain = self.bottom is None and self.weights is None and self.units is None
        return plain and bool(np.isin(self.top, (0.0, 1.0)).all())


@dataclass(frozen=True, slots=True)
class Estimate:
    """A group's figure, the variance of that, and the number of independent units behind it."""

    value: float
    variance: float
    units: int


@dataclass(frozen=True, slots=True)
class Relative:
    """A figure as a multiple of another one."""

    value: float
    interval: Interval


def estimate(group: Group) -> Estimate | None:
    """The figure of one group; None where it is undefined, which it is without tickets.

    The variance is that of a ratio of sums over units (Cochran, "Sampling techniques", 1977, section 6.4); for a mean
    of tickets on their own it is the sample variance over their number. A share of 0 or 1 has the variance of Agresti
    and Caffo, as if one more hit and one more miss had been seen, because so many units alike do not prove that none
    is different. NaN for a single unit.

    >>> estimate(Group(np.array([1.0, 2.0, 3.0])))
    Estimate(value=2.0, variance=0.333..., units=3)
    """
    weights = np.ones(len(group.top)) if group.weights is None else group.weights
    bottoms = weights if group.bottom is None else weights * group.bottom
    tops, total = weights * group.top, bottoms.sum()
    if not total:
        return None
    value = tops.sum() / total
    says = (bottoms > 0) | (tops != 0)  # a ticket that says nothing is no observation
    codes = np.arange(len(tops)) if group.units is None else _codes(group.units)
    away, shares = (np.bincount(codes[says], weights=each[says]) for each in (tops - value * bottoms, bottoms))
    units = len(np.unique(codes[says]))
    if units < 2:
        return Estimate(float(value), math.nan, units)
    variance = float((away**2).sum() / total**2 * units / (units - 1))
    if value in {0.0, 1.0} and ((tops >= 0) & (tops <= bottoms)).all():
        size = total**2 / (shares**2).sum() + 2  # unequal weights count as fewer units (Kish, 1965)
        variance = (1 - 1 / size) / size**2
    return Estimate(float(value), variance, units)


def difference(figure: Figure, current: Group, challenger: Group, confidence: float = 0.95) -> Difference:
    """How far two groups are apart: challenger minus current, with interval and p-value.

    Hits and misses, each on its own, are compared as shares (`difference_of_shares`); everything else by Welch's t,
    with as many observations as there are units. Source: Welch (1947), "The generalization of 'Student's' problem
    when several different population variances are involved".

    Args:
        figure: what the groups hold.
        current: of the tickets that the current model answered.
        challenger: of those that the challenger answered.
        confidence: of the interval, between 0 and 1.

    >>> exact = Figure("exact_match", "exact match")
    >>> found = difference(exact, Group(np.array([0.0, 1.0] * 50)), Group(np.array([0.0, 1.0, 1.0, 1.0] * 25)))
    >>> found.words
    'exact match +25.0 points (11.6 to 37.2)'
    """
    if current.is_plain and challenger.is_plain and len(current.top) and len(challenger.top):
        counts = [(int(group.top.sum()), len(group.top)) for group in (current, challenger)]
        return difference_of_shares(figure, *counts, confidence=confidence)
    return _welch(figure, estimate(current), estimate(challenger), confidence)


def _welch(figure: Figure, current: Estimate | None, challenger: Estimate | None, confidence: float) -> Difference:
    from scipy.stats import t  # noqa: PLC0415 - slow to import

    ours, theirs = (None if found is None else found.value for found in (current, challenger))
    units = min(0 if found is None else found.units for found in (current, challenger))
    bare = Difference(figure, ours, theirs, None, units, confidence)
    if current is None or challenger is None or units < 2:
        return replace(bare, doubt="a group has fewer than two tickets or customers that say anything of it")
    variance, apart = current.variance + challenger.variance, challenger.value - current.value
    if not variance:
        doubt = "all tickets of each group are alike, so that nothing is known of chance"
        return replace(bare, interval=(apart, apart), error=0.0, doubt=doubt, blind_to=math.inf)
    error = math.sqrt(variance)
    freedom = variance**2 / sum(found.variance**2 / (found.units - 1) for found in (current, challenger))
    half = float(t.ppf((1 + confidence) / 2, freedom)) * error
    p = float(2 * t.sf(abs(apart) / error, freedom))
    return replace(bare, interval=(apart - half, apart + half), p=p, error=error)


def relative(current: Group, challenger: Group, confidence: float = 0.95) -> Relative | None:
    """The challenger's figure as a multiple of the current one, with the interval that the logarithms' variances give.

    None where a figure is not above 0, or no variance is known.

    >>> relative(Group(np.array([90.0, 110.0])), Group(np.array([180.0, 220.0]))).value
    2.0
    """
    from scipy.stats import norm  # noqa: PLC0415 - slow to import

    ours, theirs = estimate(current), estimate(challenger)
    if ours is None or theirs is None or min(ours.value, theirs.value) <= 0 or min(ours.units, theirs.units) < 2:
        return None
    error = math.sqrt(sum(found.variance / found.value**2 for found in (ours, theirs)))
    factor = math.exp(float(norm.ppf((1 + confidence) / 2)) * error)
    value = theirs.value / ours.value
    return Relative(value, (value / factor, value * factor))


def _codes(units: Sequence[str]) -> IntArray:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(unit, len(numbers)) for unit in units], dtype=np.int64)
