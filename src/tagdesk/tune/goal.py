"""What a search makes as high as it can."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray, Probs, Targets
from tagdesk.compare import Bootstrap, Difference, Figure, Pairs, differences
from tagdesk.compare.paired import FIGURES, blind_to, least_differing
from tagdesk.compare.resampled import draws, figures_of
from tagdesk.errors import UsageError
from tagdesk.evaluate.ratios import defined

ALLOWED: Final = "f1_macro, f1_micro, exact_match, coverage@precision>=0.95 (any share between 0 and 1)"
COVERAGE: Final = "coverage"
_OF_DECISIONS: Final = ("f1_macro", "f1_micro", "exact_match")
_CELLS: Final = 4_000_000  # weighed at a time: 32 MB
_HAIR: Final = 1e-9  # 19 of 20 labels are 0.95 of them, whatever the float says


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure of decisions, or the coverage that a precision allows.

    Coverage at a precision is the share of tickets that get a label where one cut serves all labels, and is the lowest
    at which that share of all labels given is right: so many tickets could do without a person.

    >>> str(parse_goal("coverage @ precision >= .9"))
    'coverage@precision>=0.9'
    """

    kind: str
    precision: float = 0.0

    def __str__(self) -> str:
        return f"{COVERAGE}@precision>={self.precision:g}" if self.kind == COVERAGE else self.kind

    @property
    def figure(self) -> Figure:
        """The figure under the name that verdicts give it."""
        if self.kind == COVERAGE:
            return Figure(str(self), f"coverage at {self.precision:.1%} precision".replace(".0%", "%"))
        return FIGURES[self.kind]

    @property
    def has_thresholds(self) -> bool:
        """Whether the thresholds of a recipe matter to it."""
        return self.kind != COVERAGE

    def of(self, targets: Targets, probs: Probs, decided: BoolArray) -> float:
        """The figure of some tickets, all arrays (tickets, labels); NaN where it is undefined.

        >>> right = np.array([[True, False], [False, True]])
        >>> Goal("exact_match").of(right, right.astype(np.float32), right)
        1.0
        """
        once = np.ones((1, len(targets)))
        return float(_figure(self, targets, probs, decided, once)[0])

    def difference(self, pairs: Pairs, how: Bootstrap) -> Difference:
        """How far two models are apart, with a paired bootstrap interval; the pairs hold probabilities."""
        if self.kind != COVERAGE:
            return differences(pairs, [self.kind], how)[0]
        units = pairs.unit_codes
        once, each = np.ones((1, len(units))), np.arange(len(units))

        def both(weights: FloatArray) -> list[FloatArray]:
            answers = (pairs.current, pairs.challenger)
            return [_figure(self, pairs.targets, said.probs, said.decided, weights) for said in answers]

        current, challenger = both(once)
        spread = [theirs - ours for ours, theirs in map(both, draws(units, each, how))]
        n_units = int(units.max(initial=-1)) + 1
        differing = len(np.unique(units[pairs.differs]))
        too_few = differing < least_differing(how.confidence)
        return Difference(
            self.figure,
            defined(current[0]),
            defined(challenger[0]),
            how.interval(np.concatenate(spread)) if spread else None,
            n_units,
            how.confidence,
            doubt=f"the two differ on {differing} of {n_units} tickets, which is too few to tell" if too_few else "",
            blind_to=blind_to(n_units, how.confidence),
        )


def parse_goal(text: str) -> Goal:
    """Read a goal as the command line writes it; raises UsageError that lists what is allowed.

    >>> parse_goal("accuracy")
    Traceback (most recent call last):
    ...
    tagdesk.errors.UsageError: Objective 'accuracy' is unknown. Use one of: f1_macro, f1_micro, exact_match, \
coverage@precision>=0.95 (any share between 0 and 1).
    """
    plain = re.sub(r"\s", "", text[:100]).lower()
    if plain in _OF_DECISIONS:
        return Goal(plain)
    match = re.fullmatch(r"coverage@precision>=(0?\.[0-9]{1,9})", plain)
    if match and 0 < float(match[1]) < 1:
        return Goal(COVERAGE, float(match[1]))
    raise UsageError(f"Objective {text[:60]!r} is unknown. Use one of: {ALLOWED}.", code="bad_objective")


def coverage(targets: Targets, probs: Probs, weights: FloatArray, precision: float) -> FloatArray:
    """Coverage at a precision, (resamples,); NaN where no ticket occurs.

    Args:
        targets: (tickets, labels).
        probs: (tickets, labels).
        weights: (resamples, tickets), how often each ticket occurs.
        precision: of the labels that are given.

    >>> targets, probs = np.array([[True], [True], [False]]), np.array([[0.9], [0.8], [0.7]], dtype=np.float32)
    >>> coverage(targets, probs, np.ones((1, 3)), 0.95).round(2).tolist()
    [0.67]
    """
    order = np.argsort(-probs, axis=None, kind="stable")
    scores, right, tickets = probs.ravel()[order], targets.ravel()[order], order // max(1, probs.shape[1])
    is_first = np.zeros(len(order), dtype=np.bool_)  # of the labels that its ticket may get
    is_first[np.unique(tickets, return_index=True)[1]] = True
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])  # last pair of each score
    found = np.full(len(weights), np.nan)
    block = max(1, _CELLS // max(1, len(order)))
    for start in range(0, len(weights) if len(order) else 0, block):
        rows = weights[start : start + block]
        drawn = rows[:, tickets]
        given, hits, covered = (
            np.cumsum(drawn * which, axis=1)[:, ends] for which in (np.ones_like(right), right, is_first)
        )
        is_good = (given > 0) & (hits >= (precision - _HAIR) * given)
        lowest = is_good.shape[1] - 1 - is_good[:, ::-1].argmax(axis=1)
        share = covered[np.arange(len(rows)), lowest] / np.maximum(rows.sum(axis=1), _HAIR)
        found[start : start + block] = np.where(rows.any(axis=1), np.where(is_good.any(axis=1), share, 0.0), np.nan)
    return found


def _figure(goal: Goal, targets: Targets, probs: Probs | None, decided: BoolArray, weights: FloatArray) -> FloatArray:
    """The goal's figure in every resample, (resamples,)."""
    if goal.kind != COVERAGE:
        return figures_of([goal.kind], targets, decided, None, weights)[goal.kind]
    if probs is None:
        raise ValueError("Coverage is a figure of probabilities, and there are none.")
    return coverage(targets, probs, weights, goal.precision)
