"""Says in one sentence whether a challenger is better than what is current, from an estimated difference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tagdesk.evaluate import Interval

POINTS = "points"  # of a hundred: the unit of shares


class Finding(StrEnum):
    """What an interval lets one say."""

    BETTER = "better"
    WORSE = "worse"
    NOT_WORSE = "not worse within the margin"
    UNSHOWN = "no difference shown"
    UNDEFINED = "undefined"


@dataclass(frozen=True, slots=True)
class Figure:
    """What is compared: its name for programs and for people, which way is better, and its unit.

    A figure in points is a share: 0.031 reads as 3.1 points.

    >>> Figure("latency", "latency", lower_is_better=True, unit="ms").unit
    'ms'
    """

    name: str
    words: str
    lower_is_better: bool = False
    unit: str = POINTS

    def written(self, value: float, decimals: int = 1, *, signed: bool = False) -> str:
        """The value as a person reads it, without its unit."""
        shown = round(value * (100 if self.unit == POINTS else 1), decimals) + 0.0  # no -0.0
        return f"{shown:{'+' if signed else ''}.{decimals}f}"


@dataclass(frozen=True, slots=True)
class Difference:
    """Challenger minus current in one figure, with the interval in which the true difference lies.

    Attributes:
        figure: what is compared.
        current: the figure of what is current; None where it is undefined.
        challenger: that of the challenger.
        interval: of the difference; None where it is undefined.
        units: tickets or customers that bear it, independent of each other; of two groups those of the smaller one.
        confidence: of the interval.
        p: probability of so large a difference, either way, were there none; None where it was not computed.
        error: standard error of the difference.
        doubt: why an interval that leaves 0 out shows no difference yet; empty where it does show one.
        blind_to: a loss that so few units could have missed altogether; no smaller one can be ruled out.
        is_always_valid: whether the interval holds at every look, rather than at one look that was fixed beforehand.
    """

    figure: Figure
    current: float | None
    challenger: float | None
    interval: Interval | None
    units: int
    confidence: float = 0.95
    p: float | None = None
    error: float | None = None
    doubt: str = ""
    blind_to: float = 0.0
    is_always_valid: bool = False

    @property
    def value(self) -> float | None:
        """Challenger minus current; None where one of them is undefined."""
        return None if self.current is None or self.challenger is None else self.challenger - self.current

    @property
    def gain(self) -> Interval | None:
        """The interval turned so that above 0 is better; None where it is undefined."""
        if self.interval is None or self.value is None:
            return None
        low, high = self.interval
        return (-high, -low) if self.figure.lower_is_better else (low, high)

    @property
    def words(self) -> str:
        """The difference in words, as in "exact match +3.1 points (1.2 to 5.0)"."""
        if self.value is None or self.interval is None:
            return f"{self.figure.words}: undefined"
        scale = 100 if self.figure.unit == POINTS else 1
        width = (self.interval[1] - self.interval[0]) * scale
        decimals = 1 if width == 0 or width >= 0.5 else min(6, 1 + math.ceil(-math.log10(2 * width)))
        low, high = (self.figure.written(end, decimals) for end in self.interval)
        value = self.figure.written(self.value, decimals, signed=True)
        unit = f" {self.figure.unit}" if self.figure.unit else ""
        return f"{self.figure.words} {value}{unit} ({low} to {high})"

    def to_dict(self) -> dict[str, Any]:
        """The difference as JSON holds it."""
        return {
            "figure": self.figure.name,
            "current": self.current,
            "challenger": self.challenger,
            "difference": self.value,
            "interval": list(self.interval) if self.interval else None,
            "confidence": self.confidence,
            "is_always_valid": self.is_always_valid,
            "units": self.units,
            "p": self.p,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of a difference, with the sentence that a person reads.

    `margin` is the loss that was agreed on beforehand to be none; None where there is none.
    """

    finding: Finding
    sentence: str
    difference: Difference
    margin: float | None = None

    @property
    def is_better(self) -> bool:
        """Whether the challenger was shown to be better."""
        return self.finding is Finding.BETTER

    @property
    def is_worse(self) -> bool:
        """Whether the challenger was shown to be worse, and not by less than the margin."""
        return self.finding is Finding.WORSE

    @property
    def is_harmless(self) -> bool:
        """Whether the challenger was shown to be better, or not worse within the margin."""
        return self.finding in {Finding.BETTER, Finding.NOT_WORSE}

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON holds it."""
        return {
            "finding": self.finding.value,
            "sentence": self.sentence,
            "margin": self.margin,
            **self.difference.to_dict(),
        }


def judge(difference: Difference, margin: float | None = None, *, who: str = "Challenger", when: str = "") -> Verdict:
    """What a difference shows.

    "Better" and "worse" are said where the interval leaves 0 out; "not worse" where it leaves out every loss of
    `margin` or more. A loss that is certain and certainly smaller than the margin is "not worse" too, and the sentence
    says so.

    Args:
        difference: what was estimated.
        margin: the loss, in the figure's own unit (0.01 is one point), that was agreed on beforehand to be none.
        who: the challenger's name.
        when: what else the sentence shall say, such as "looked at on day 12 of 30".

    Raises:
        ValueError: for a margin that is not above 0.

    >>> exact = Figure("exact_match", "exact match")
    >>> judge(Difference(exact, 0.7, 0.731, (0.012, 0.05), 2000), when="looked at on day 12 of 30").sentence
    'Challenger is better: exact match +3.1 points (1.2 to 5.0), looked at on day 12 of 30.'
    >>> judge(Difference(exact, 0.7, 0.701, (-0.006, 0.008), 2000), margin=0.01).sentence
    'Challenger is not worse by 1.0 points or more: exact match +0.1 points (-0.6 to 0.8).'
    """
    if margin is not None and not 0 < margin < math.inf:
        raise ValueError(f"Margin {margin}: expected a finite number above 0, or None for no margin.")
    finding = _finding(difference, margin)
    sentence = f"{_claim(finding, difference, margin, who)}{f', {when}' if when else ''}."
    return Verdict(finding, sentence[0].upper() + sentence[1:], difference, margin)


def _finding(difference: Difference, margin: float | None) -> Finding:
    if difference.gain is None:
        return Finding.UNDEFINED
    low, high = difference.gain
    if low > 0 and not difference.doubt:
        return Finding.BETTER
    if margin is not None and low > -margin and difference.blind_to < margin:
        return Finding.NOT_WORSE
    if high < 0 and not difference.doubt:
        return Finding.WORSE
    return Finding.UNSHOWN


def _claim(finding: Finding, difference: Difference, margin: float | None, who: str) -> str:
    words, figure = difference.words, difference.figure
    allowed = "" if margin is None else f"{figure.written(margin)} {figure.unit}".rstrip()
    if finding is Finding.UNDEFINED:
        return f"nothing can be said of {figure.words}: {difference.doubt or 'it is undefined on these tickets'}"
    if finding is Finding.NOT_WORSE and difference.gain is not None and difference.gain[1] < 0:
        return f"{who} is worse, but by less than the {allowed} that are allowed: {words}"
    if finding is Finding.NOT_WORSE:
        return f"{who} is not worse by {allowed} or more: {words}"
    if finding is Finding.UNSHOWN:
        doubt = f"; {difference.doubt}" if difference.doubt else ""
        open_question = f"; a loss of {allowed} or more is not ruled out" if allowed else ""
        return f"no difference shown: {words}{doubt}{open_question}"
    return f"{who} is {finding.value}: {words}"
