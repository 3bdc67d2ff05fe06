"""Says whether the units came to the variants in the shares that were meant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import FloatArray

ALPHA = 0.01  # how often an experiment that is shared out rightly is ever called broken, however often one looks
CONCENTRATION = 1000.0  # how near to the shares a broken split is expected; finds two points in a few thousand units


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Units counted in each variant, held against the shares.

    Attributes:
        counts: units by variant.
        expected: what the shares make of their sum.
        p: of the sequential test, which may be asked at every look.
        p_once: of the chi-squared test, which holds for a single look only.
        is_broken: whether `p` is so small that no figure of the experiment can be believed.
    """

    counts: Mapping[str, int]
    expected: Mapping[str, float]
    p: float
    p_once: float
    is_broken: bool

    @property
    def sentence(self) -> str:
        """What a person reads."""
        counted = ", ".join(
            f"{name} {count:,} (expected {self.expected[name]:,.0f})" for name, count in self.counts.items()
        )
        if self.is_broken:
            return (
                f"The split is broken, so no result is shown: {counted} units. Look for what drops or repeats units "
                "of one variant."
            )
        return f"The split is as planned: {counted} units."


def sample_ratio(counts: Mapping[str, int], shares: Mapping[str, float], alpha: float = ALPHA) -> SampleRatio:
    """Hold the number of distinct units in each variant, counted since the start, against the shares.

    The test is the sequential one of Lindon and Malek (2022), "Anytime-valid inference for multinomial count data": a
    Dirichlet mixture around the shares against the shares themselves. In an experiment that is shared out rightly its
    p-value falls below `alpha` at any of all looks with a probability of `alpha` at most.

    Args:
        counts: by variant; units, not tickets, because a customer's tickets all go the same way.
        shares: of all variants, summing to 1.
        alpha: between 0 and 1.

    Raises:
        ValueError: for names that differ, counts below 0, and shares that do not sum to 1.

    >>> sample_ratio({"a": 10_400, "b": 9_600}, {"a": 0.5, "b": 0.5}).is_broken
    True
    >>> sample_ratio({"a": 10_080, "b": 9_920}, {"a": 0.5, "b": 0.5}).is_broken
    False
    """
    from scipy.special import gammaln  # noqa: PLC0415 - slow to import

    seen, share = np.array([counts.get(name, 0) for name in shares], dtype=np.float64), np.array([*shares.values()])
    if set(counts) - set(shares) or (seen < 0).any() or not math.isclose(share.sum(), 1, abs_tol=1e-6):
        raise ValueError(
            f"Counts {dict(counts)} with shares {dict(shares)}: expected the same names, counts from 0 up."
        )
    total, named = seen.sum(), dict(zip(shares, seen.astype(int).tolist(), strict=True))
    expected = dict(zip(shares, (share * total).tolist(), strict=True))
    if seen[share == 0].any():  # nobody was meant to be there
        return SampleRatio(named, expected, 0.0, 0.0, is_broken=True)
    seen, share = seen[share > 0], share[share > 0]
    prior = CONCENTRATION * share
    log_evidence = (
        gammaln(CONCENTRATION)
        - gammaln(CONCENTRATION + total)
        + (gammaln(prior + seen) - gammaln(prior) - seen * np.log(share)).sum()
    )
    p = math.exp(min(0.0, -float(log_evidence)))
    return SampleRatio(named, expected, p, chi_squared(seen, share * total, len(seen) - 1), is_broken=p <= alpha)


def chi_squared(seen: FloatArray, expected: FloatArray, freedom: int) -> float:
    """The p-value of Pearson's test of counts, (cells,), against what was expected; 1 where nothing was counted.

    >>> round(chi_squared(np.array([16.0, 18.0, 16.0, 14.0, 12.0, 12.0]), np.full(6, 88 / 6), 5), 4)
    0.8491
    """
    from scipy.stats import chi2  # noqa: PLC0415 - slow to import

    if not expected.sum() or freedom < 1:
        return 1.0
    return float(chi2.sf(((seen - expected) ** 2 / expected).sum(), freedom))
