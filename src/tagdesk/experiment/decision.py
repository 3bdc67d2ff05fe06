"""Says what to do with an experiment: promote, stop for harm, go on, or mend its split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from tagdesk.compare.correction import corrected
from tagdesk.compare.verdict import Difference, Figure, Verdict, judge
from tagdesk.experiment.reviewed import ReviewShares
from tagdesk.experiment.sample_ratio import SampleRatio

LATENCY = Figure("latency", "latency", lower_is_better=True, unit="ms")
OUT_OF_SCOPE = Figure("out_of_scope_rate", "share called out of scope", lower_is_better=True)
NO_LABEL = Figure("no_label_rate", "share without a label", lower_is_better=True)
_TOO_SOON = "this interval holds on the last day alone, so nothing follows from it yet"


class Action(StrEnum):
    """What to do with an experiment."""

    PROMOTE = "promote"
    STOP = "stop for harm"
    GO_ON = "go on"
    MEND = "broken split"


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A figure that the challenger may not make worse by `margin` or more, in the figure's own unit (0.01: a point)."""

    difference: Difference
    margin: float


@dataclass(frozen=True, slots=True)
class Day:
    """The day of an experiment, from 1, and how many were planned."""

    today: int
    planned: int

    def __post_init__(self) -> None:
        if min(self.today, self.planned) < 1:
            raise ValueError(f"Day {self.today} of {self.planned}: expected both from 1.")

    @property
    def is_last(self) -> bool:
        """Whether the plan has run its course."""
        return self.today >= self.planned

    @property
    def words(self) -> str:
        """The day as a sentence ends with it."""
        return f"looked at on day {self.today} of {self.planned}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of an experiment on some day.

    Attributes:
        day: of the experiment.
        ratio: whether the split is as planned.
        primary: the difference that the experiment was begun for.
        margin: the loss in it that was agreed on beforehand to be none; None where the challenger has to be better.
        guardrails: what must not become worse.
        secondary: what else is of interest; it decides nothing.
        reviews: whether the variants are reviewed alike, of outcomes that are known of reviewed tickets only.
    """

    day: Day
    ratio: SampleRatio
    primary: Difference
    margin: float | None = None
    guardrails: Sequence[Guardrail] = ()
    secondary: Sequence[Difference] = ()
    reviews: ReviewShares | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why in one sentence; with the verdicts behind it, of which a broken split has none.

    The p-values of `secondary` are corrected for their number (Holm).
    """

    action: Action
    reason: str
    primary: Verdict | None = None
    guardrails: tuple[Verdict, ...] = ()
    secondary: tuple[Verdict, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The decision as JSON holds it."""
        return {
            "action": self.action.value,
            "reason": self.reason,
            "primary": None if self.primary is None else self.primary.to_dict(),
            "guardrails": [verdict.to_dict() for verdict in self.guardrails],
            "secondary": [verdict.to_dict() for verdict in self.secondary],
        }


def recall_of(label: str) -> Figure:
    """The figure of one label's recall.

    >>> recall_of("Refund").words
    'recall of Refund'
    """
    return Figure(f"recall:{label}", f"recall of {label}")


def decide(evidence: Evidence, who: str = "Challenger") -> Decision:
    """What to do with the experiment today.

    A broken split comes before all else. Harm is a primary figure that is shown to be worse, or a guardrail that is
    shown to be broken: worse by its margin or more. To be promoted, the challenger must be better in the primary figure
    (or not worse within its margin, where one was agreed on), on outcomes that were reviewed alike, and every guardrail
    must be shown to hold: each is a one-sided question, asked at half the error that the interval leaves. Because all
    must hold, they need no correction. An interval that is not valid at every look is heard on the last planned day,
    and no sooner. An experiment ends with the first decision that is not to go on: who looks on may see it come back.

    >>> from tagdesk.experiment.sample_ratio import sample_ratio
    >>> exact = Difference(Figure("e", "exact match"), 0.7, 0.731, (0.012, 0.05), 2000, is_always_valid=True)
    >>> even = sample_ratio({"a": 2010, "b": 1990}, {"a": 0.5, "b": 0.5})
    >>> found = decide(Evidence(Day(12, 30), even, exact))
    >>> found.action.value, found.reason
    ('promote', 'Challenger is better: exact match +3.1 points (1.2 to 5.0), looked at on day 12 of 30.')
    """
    if evidence.ratio.is_broken:
        return Decision(Action.MEND, evidence.ratio.sentence)
    primary = judge(evidence.primary, evidence.margin, who=who, when=evidence.day.words)
    guardrails = tuple(judge(rail.difference, rail.margin, who=who) for rail in evidence.guardrails)
    secondary = tuple(judge(_in_time(asked, evidence.day), who=who) for asked in corrected(evidence.secondary))
    action, reason = _decided(evidence, primary, guardrails, who)
    return Decision(action, reason, primary, guardrails, secondary)


def _decided(evidence: Evidence, primary: Verdict, guardrails: Sequence[Verdict], who: str) -> tuple[Action, str]:
    day, reviews = evidence.day, evidence.reviews
    broken = [verdict for verdict in guardrails if _is_broken(verdict) and _is_heard(verdict, day)]
    if broken:
        return Action.STOP, f"{who} does harm: {_against_margin(broken[0])}, {day.words}."
    if reviews is not None and reviews.differs:
        return Action.GO_ON, f"{reviews.sentence[:-1]}; weight them by their probability of review, or review alike."
    if not _is_heard(primary, day):
        return Action.GO_ON, f"{_started(primary.difference.words)}, {day.words}: {_TOO_SOON}."
    if primary.is_worse:
        return Action.STOP, primary.sentence
    is_good = primary.is_harmless if evidence.margin is not None else primary.is_better
    return _good(primary, guardrails, day) if is_good else _open(primary, day)


def _good(primary: Verdict, guardrails: Sequence[Verdict], day: Day) -> tuple[Action, str]:
    unsure = [verdict for verdict in guardrails if not (verdict.is_harmless and _is_heard(verdict, day))]
    if unsure:
        rest = f"but it is not shown yet that every guardrail holds: {_against_margin(unsure[0])}"
        return Action.GO_ON, f"{primary.sentence[:-1]}, {rest}."
    rails = ", and every guardrail holds" if guardrails else ""
    return Action.PROMOTE, f"{primary.sentence[:-1]}{rails}."


def _open(primary: Verdict, day: Day) -> tuple[Action, str]:
    over = "; the plan is over: keep what is current, or plan anew with more units" if day.is_last else ""
    return Action.GO_ON, f"{primary.sentence[:-1]}{over}."


def _in_time(asked: Difference, day: Day) -> Difference:
    """The difference, with a doubt where it is too soon to hear it."""
    return asked if asked.is_always_valid or day.is_last else replace(asked, doubt=_TOO_SOON, blind_to=math.inf)


def _started(words: str) -> str:
    return words[0].upper() + words[1:]


def _is_heard(verdict: Verdict, day: Day) -> bool:
    return verdict.difference.is_always_valid or day.is_last


def _is_broken(verdict: Verdict) -> bool:
    """Whether the figure is certainly worse by the margin or more."""
    gain, margin = verdict.difference.gain, verdict.margin
    return gain is not None and margin is not None and gain[1] <= -margin and not verdict.difference.doubt


def _against_margin(verdict: Verdict) -> str:
    difference, margin = verdict.difference, verdict.margin or 0.0
    figure = difference.figure
    return f"{difference.words}, where a loss of {figure.written(margin)} {figure.unit} is too much"
