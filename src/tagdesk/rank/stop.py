"""Says whether labelling more is still worth it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tagdesk.agreement import alpha
from tagdesk.arrays import BoolArray, IntArray, Targets
from tagdesk.rank.curve import FEWEST, Gain, expected_gain

LAST = 3  # rounds that are looked back on
STEADY = 0.75  # agreement beyond chance of one round's decisions with the next one's
ONE_KIND = 0.9  # share of a batch that carries the same labels, from which the batch teaches nothing about the others
AHEAD = 50  # labels
WORTH = 0.002  # of a figure in 0..1, for `AHEAD` further labels


@dataclass(frozen=True, eq=False, slots=True)
class Round:
    """What one round of labelling led to.

    Attributes:
        labels: tickets that were labelled so far.
        decisions: (stop tickets, labels), what the new model gives for some 1,000 tickets that stay the same in all
            rounds; they need no labels.
        quality: how good the new model is, in 0..1, measured in the same way in all rounds.
        batch: (tickets, labels), what people gave in this round.
    """

    labels: int
    decisions: BoolArray
    quality: float
    batch: Targets


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether to stop, and why, in words.

    Attributes:
        stop: whether labelling more is no longer worth it.
        sentence: the explanation.
        changed: share of the stop tickets whose labels changed, mean over the last rounds; None before there are any.
        steadiness: agreement beyond chance of successive rounds, likewise; None where it is undefined.
        gain: what the next labels are expected to add.
    """

    stop: bool
    sentence: str
    changed: float | None = None
    steadiness: float | None = None
    gain: Gain | None = None


def advice(history: Sequence[Round], *, worth: float = WORTH, ahead: int = AHEAD) -> Advice:
    """Whether to stop labelling, from what the rounds so far led to, oldest first.

    Stop where decisions have settled (Bloodgood & Vijay-Shanker, 2009, "A method for stopping active learning based on
    stabilizing predictions") and a fitted learning curve expects the next labels to add less than they are worth. They
    asked for an agreement of .99 between rounds of a fixed small number of labels; here batches grow with what is
    labelled, so that later rounds differ more, and .75 only keeps out decisions that are still being made anew. Never
    before the fourth round, and never while one of the last batches held almost one kind of ticket: a model that is
    shown nothing new does not change.

    Args:
        history: oldest first.
        worth: least gain, in 0..1, for which people are asked further.
        ahead: labels that should bring it.

    Raises:
        ValueError: for rounds that do not fit each other.

    >>> advice([]).stop
    False
    """
    _check(history, worth, ahead)
    if len(history) < FEWEST:
        return Advice(stop=False, sentence=f"Too early to say: {_rounds(len(history))} of at least {FEWEST}. Go on.")
    latest = history[-LAST - 1 :]
    pairs = list(pairwise(latest))
    changed = float(np.mean([(a.decisions != b.decisions).any(axis=1).mean() for a, b in pairs]))
    steadiness = float(np.mean([_agreement(a.decisions, b.decisions) for a, b in pairs]))
    labels: IntArray = np.array([each.labels for each in history], dtype=np.int64)
    gain = expected_gain(labels, np.array([each.quality for each in history]), ahead)
    verdict, stop = _verdict(latest[1:], steadiness, gain, worth)
    sentence = (
        f"The last three rounds changed the labels of {_percent(changed)} of the tickets each; the next {ahead} labels "
        f"are expected to add {_points(gain.expected)} points ({_points(gain.low)} to {_points(gain.high)}). {verdict}"
    )
    return Advice(stop, sentence, changed, None if math.isnan(steadiness) else steadiness, gain)


def _verdict(latest: Sequence[Round], steadiness: float, gain: Gain, worth: float) -> tuple[str, bool]:
    if any(_is_one_kind(each.batch) for each in latest):
        return "But almost all tickets of a recent batch carried the same labels: ask about others, and go on.", False
    if not steadiness >= STEADY:  # NaN as well
        return "The decisions have not settled. Go on.", False
    if gain.expected > worth:
        return f"That is more than {_points(worth)}. Go on.", False
    return "You can stop.", True


def _is_one_kind(batch: Targets) -> bool:
    """Whether almost all tickets of a batch carry the same set of labels; a batch without tickets counts as one."""
    if not len(batch):
        return True
    _, times = np.unique(batch, axis=0, return_counts=True)
    return bool(times.max() >= ONE_KIND * len(batch))


def _agreement(first: BoolArray, second: BoolArray) -> float:
    """Beyond chance, over all yes-or-no decisions; NaN where all decisions are the same."""
    return alpha(np.stack([first.ravel(), second.ravel()]).astype(np.int64))


def _check(history: Sequence[Round], worth: float, ahead: int) -> None:
    if any(each.decisions.ndim != 2 or each.decisions.shape != history[0].decisions.shape for each in history):
        raise ValueError("Rounds: expected decisions (stop tickets, labels) for the same tickets in each.")
    if history and not history[0].decisions.size:
        raise ValueError("Rounds: expected at least one stop ticket and one label.")
    if any(each.batch.ndim != 2 or each.batch.shape[1] != each.decisions.shape[1] for each in history):
        raise ValueError("Rounds: expected batches (tickets, labels) of as many labels as are decided on.")
    counts = [each.labels for each in history]
    if any(a >= b for a, b in pairwise([0, *counts])):
        raise ValueError(f"Rounds: expected rising numbers of labels, got {counts[:9]}.")
    if not all(0 <= each.quality <= 1 for each in history):
        raise ValueError("Rounds: expected a quality in 0..1.")
    if ahead < 1 or not 0 <= worth <= 1:
        raise ValueError(f"worth {worth:g}, ahead {ahead}: expected a share in 0..1 and at least 1.")


def _rounds(count: int) -> str:
    return "1 round" if count == 1 else f"{count} rounds"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    """A gain in points: .0021 is 0.21; two figures below a tenth, where one would say nothing."""
    points = 100 * share
    return f"{points:.1f}" if points >= 0.1 or points < 0.005 else f"{points:.2f}"
