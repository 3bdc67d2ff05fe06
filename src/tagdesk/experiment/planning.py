"""How many units an experiment needs, and how many days that takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tagdesk.errors import UsageError


@dataclass(frozen=True, slots=True)
class Chances:
    """What a test may miss and what it may claim wrongly.

    Attributes:
        alpha: how often it claims a difference, either way, where there is none.
        power: how often it finds the difference that was planned for.
        ratio: units of the challenger for each of the current variant.
    """

    alpha: float = 0.05
    power: float = 0.8
    ratio: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.alpha < self.power < 1 and 0 < self.ratio < math.inf):
            raise UsageError(
                f"alpha {self.alpha:g}, power {self.power:g}, ratio {self.ratio:g}: expected 0 < alpha < power < 1 and "
                "a ratio above 0. Usual are 0.05, 0.8 and 1.",
                code="bad_plan",
            )


@dataclass(frozen=True, slots=True)
class Size:
    """Units that are needed in each of two variants."""

    current: int
    challenger: int

    def times(self, factor: float) -> Size:
        """The size, so many times as large.

        >>> Size(100, 50).times(1.5)
        Size(current=150, challenger=75)
        """
        return Size(math.ceil(self.current * factor - 1e-9), math.ceil(self.challenger * factor - 1e-9))


def size_for_shares(share: float, other: float, chances: Chances | None = None) -> Size:
    """Units to tell two shares apart at one look, such as 0.70 exact match now and 0.73 hoped for.

    Source: Fleiss, Levin and Paik, "Statistical methods for rates and proportions" (2003), chapter 4, without
    continuity correction; R's `power.prop.test` gives the same.

    Raises:
        UsageError: for shares outside 0..1, or equal ones.

    >>> size_for_shares(0.5, 0.75, Chances(power=0.9))
    Size(current=77, challenger=77)
    """
    chances = chances or Chances()
    _check_shares(share, other)
    both, apart, far = _spreads(share, other, chances.ratio)
    current = ((_z(1 - chances.alpha / 2) * both + _z(chances.power) * apart) / far) ** 2
    return _size(current, chances.ratio)


def power_for_shares(share: float, other: float, size: Size, alpha: float = 0.05) -> float:
    """How often so many units tell two shares apart.

    >>> round(power_for_shares(0.5, 0.75, Size(50, 50)), 3)
    0.74
    """
    from scipy.stats import norm  # noqa: PLC0415 - slow to import

    _check_shares(share, other)
    both, apart, far = _spreads(share, other, size.challenger / size.current)
    return float(norm.cdf((far * math.sqrt(size.current) - _z(1 - alpha / 2) * both) / apart))


def error_for_shares(share: float, other: float, size: Size) -> float:
    """The standard error of the difference of two shares, at that size.

    >>> error_for_shares(0.5, 0.5, Size(5000, 5000))
    0.01
    """
    return math.sqrt(share * (1 - share) / size.current + other * (1 - other) / size.challenger)


def size_for_means(effect: float, deviation: float, chances: Chances | None = None) -> Size:
    """Units to tell two means apart that lie `effect` apart, where single units deviate by `deviation` from theirs.

    By the noncentral t distribution, as R's `power.t.test`.

    Raises:
        UsageError: for an effect of 0, and a deviation that is not above 0.

    >>> size_for_means(1.0, 1.0, Chances(power=0.9))
    Size(current=23, challenger=23)
    """
    from scipy.optimize import brentq  # noqa: PLC0415 - slow to import

    chances = chances or Chances()
    if not (0 < abs(effect) < math.inf and 0 < deviation < math.inf):
        raise UsageError(
            f"Effect {effect:g}, deviation {deviation:g}: expected an effect other than 0 and a deviation above 0.",
            code="bad_plan",
        )
    rough = _squares(chances) * (deviation / effect) ** 2 * (1 + 1 / chances.ratio)
    least = 2 * max(1.0, 1 / chances.ratio)

    def missing(current: float) -> float:
        return chances.power - _power_of_t(effect / deviation, current, current * chances.ratio, chances.alpha)

    if missing(least) <= 0:
        return _size(least, chances.ratio)
    return _size(float(brentq(missing, least, 2 * rough + 20 * least, xtol=1e-6)), chances.ratio)


def power_for_means(effect: float, deviation: float, size: Size, alpha: float = 0.05) -> float:
    """How often so many units tell two means apart.

    >>> round(power_for_means(1.0, 1.0, Size(20, 20)), 4)
    0.869
    """
    return _power_of_t(effect / deviation, size.current, size.challenger, alpha)


def error_for_means(deviation: float, size: Size) -> float:
    """The standard error of the difference of two means, at that size, where single units deviate by `deviation`.

    >>> error_for_means(0.5, Size(5000, 5000))
    0.01
    """
    return deviation * math.sqrt(1 / size.current + 1 / size.challenger)


def days(size: Size, units_per_day: float, shares: Mapping[str, float]) -> int:
    """Days until both variants have their units, at so many new units a day that take part.

    Args:
        size: what is needed.
        units_per_day: of all variants together, above 0; after holdout and ramp.
        shares: of the current variant and of the challenger, in this order, of all variants.

    >>> days(Size(4000, 4000), 500, {"current": 0.5, "challenger": 0.5})
    16
    """
    if len(shares) != 2 or not units_per_day > 0 or min(shares.values()) <= 0:
        raise UsageError(
            f"{units_per_day:g} units a day with shares {dict(shares)}: expected some units, and the shares of the "
            "current variant and of the challenger, both above 0.",
            code="bad_plan",
        )
    current, challenger = shares.values()
    return math.ceil(max(size.current / current, size.challenger / challenger) / units_per_day - 1e-9)


def _spreads(share: float, other: float, ratio: float) -> tuple[float, float, float]:
    """Deviation were there no difference, deviation with it, and the difference; for each unit of the current one."""
    mean = (share + ratio * other) / (1 + ratio)
    both = math.sqrt((1 + 1 / ratio) * mean * (1 - mean))
    apart = math.sqrt(share * (1 - share) + other * (1 - other) / ratio)
    return both, apart, abs(other - share)


def _power_of_t(standardised: float, current: float, challenger: float, alpha: float) -> float:
    from scipy.stats import nct, t  # noqa: PLC0415 - slow to import

    freedom, shift = current + challenger - 2, abs(standardised) / math.sqrt(1 / current + 1 / challenger)
    return float(nct.sf(t.ppf(1 - alpha / 2, freedom), freedom, shift))


def _squares(chances: Chances) -> float:
    return (_z(1 - chances.alpha / 2) + _z(chances.power)) ** 2


def _size(current: float, ratio: float) -> Size:
    return Size(math.ceil(current - 1e-9), math.ceil(current * ratio - 1e-9))


def _z(probability: float) -> float:
    from scipy.stats import norm  # noqa: PLC0415 - slow to import

    return float(norm.ppf(probability))


def _check_shares(share: float, other: float) -> None:
    if not (0 <= share <= 1 and 0 <= other <= 1 and share != other):
        raise UsageError(
            f"Shares {share:g} and {other:g}: expected two different numbers from 0 to 1. Give what is current, and "
            "the smallest change worth finding.",
            code="bad_plan",
        )
