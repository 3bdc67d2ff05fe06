"""Compares two shares of different tickets."""

from __future__ import annotations

import math
from dataclasses import replace

from tagdesk.compare.verdict import Difference, Figure
from tagdesk.evaluate import Interval


def wilson(hits: int, tickets: int, confidence: float = 0.95) -> Interval:
    """Wilson's interval of one share. Source: Wilson (1927), "Probable inference".

    >>> [round(end, 4) for end in wilson(81, 263)]
    [0.2553, 0.3662]
    """
    z = _quantile(confidence)
    middle, spread = 2 * hits + z * z, z * math.sqrt(z * z + 4 * hits * (tickets - hits) / tickets)
    low, high = ((middle - spread) / (2 * (tickets + z * z)), (middle + spread) / (2 * (tickets + z * z)))
    return max(0.0, low), min(1.0, high)


def difference_of_shares(
    figure: Figure, current: tuple[int, int], challenger: tuple[int, int], *, confidence: float = 0.95
) -> Difference:
    """How far two shares are apart, each given as hits and tickets: challenger minus current.

    The interval is Newcombe's, which holds for small groups and for shares near 0 or 1; the p-value is that of
    Fisher's exact test, and where it is not small either the interval alone shows nothing. The error is that of
    Agresti and Caffo, never 0. Source: Newcombe (1998), "Interval estimation for the difference between independent
    proportions", method 10; Agresti and Caffo (2000), "Simple and effective confidence intervals for proportions".

    Raises:
        ValueError: for hits that are more than the tickets, or below 0.

    >>> found = difference_of_shares(Figure("solved", "share solved"), (48, 80), (56, 70))
    >>> found.words
    'share solved +20.0 points (5.2 to 33.4)'
    """
    for hits, tickets in (current, challenger):
        if not 0 <= hits <= tickets:
            raise ValueError(f"{hits} hits of {tickets} tickets: expected from 0 to as many.")
    ours, theirs = (hits / tickets if tickets else None for hits, tickets in (current, challenger))
    bare = Difference(figure, ours, theirs, None, min(current[1], challenger[1]), confidence)
    if ours is None or theirs is None:
        return replace(bare, doubt="a group has no tickets")
    (low, high), (low2, high2) = wilson(*current, confidence), wilson(*challenger, confidence)
    apart, p = theirs - ours, _fisher(current, challenger)
    return replace(
        bare,
        interval=(apart - math.hypot(theirs - low2, high - ours), apart + math.hypot(high2 - theirs, ours - low)),
        p=p,
        error=math.sqrt(sum(_variance(*counts) for counts in (current, challenger))),
        doubt="" if p <= 1 - confidence else f"an exact test finds it likely enough by chance (p {p:.2f})",
    )


def _variance(hits: int, tickets: int) -> float:
    share = (hits + 1) / (tickets + 2)
    return share * (1 - share) / (tickets + 2)


def _fisher(current: tuple[int, int], challenger: tuple[int, int]) -> float:
    from scipy.stats import fisher_exact  # noqa: PLC0415 - slow to import

    table = [[hits, tickets - hits] for hits, tickets in (current, challenger)]
    return float(fisher_exact(table).pvalue)


def _quantile(confidence: float) -> float:
    from scipy.stats import norm  # noqa: PLC0415 - slow to import

    if not 0 < confidence < 1:
        raise ValueError(f"Confidence {confidence}: expected between 0 and 1.")
    return float(norm.ppf((1 + confidence) / 2))
