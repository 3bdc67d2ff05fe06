"""The smallest change that a comparison would have seen."""

from __future__ import annotations

import math

ROUNDS = 50  # in which the change and its own standard error find each other


def visible_rise(rate: float, reference: int, current: int, *, level: float, sure: float = 0.9) -> float:
    """By how much a share must rise so that a two-sided test of two samples proves it.

    Args:
        rate: the share before.
        reference: tickets before.
        current: tickets now.
        level: the p-value that the test must reach.
        sure: the probability with which it shall.

    >>> round(visible_rise(0.17, 500, 500, level=0.05), 3), round(visible_rise(0.17, 5000, 5000, level=0.05), 3)
    (0.084, 0.025)
    """
    from scipy.stats import norm  # noqa: PLC0415 - slow to import

    by_chance, beyond = float(norm.isf(level / 2)), float(norm.ppf(sure))
    rise = 0.0
    for _ in range(ROUNDS):
        now = min(1.0, rate + rise + 1e-9)
        both = (reference * rate + current * now) / (reference + current)
        pooled = math.sqrt(both * (1 - both) * (1 / reference + 1 / current))
        apart = math.sqrt(rate * (1 - rate) / reference + now * (1 - now) / current)
        rise = min(1 - rate, by_chance * pooled + beyond * apart)
    return rise
