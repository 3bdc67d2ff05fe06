"""Finds the labels that people probably gave or left out by mistake.

Confident learning (Northcutt, Jiang & Chuang, 2021, "Confident learning: estimating uncertainty in dataset labels")
estimates how many answers are wrong; which ones they are is then decided by their probability of being wrong. Each
label is a yes-or-no question of its own. The scores must come from models that did not see the ticket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray, Probs, Targets

EVEN = 0.5  # an answer that is more probably right than wrong is never called a mistake
LEAST = 5  # tickets with a label, and without it, from which models can have learned enough to speak against an answer


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two labels that may say the same.

    Attributes:
        first, second: their names.
        together: share of the rarer label's tickets that carry the other one too.
        confused: tickets on which one was missed and the other given instead, as a share of the rarer label's tickets.
    """

    first: str
    second: str
    together: float
    confused: float


def doubts(targets: Targets, probs: Probs) -> FloatArray:
    """The probability that an answer is wrong, (tickets, labels).

    >>> doubts(np.array([[True, False]]), np.array([[0.25, 0.75]], dtype=np.float32)).tolist()
    [[0.75, 0.75]]
    """
    return np.where(targets, 1.0 - probs, probs).astype(np.float64)


def judged(targets: Targets) -> BoolArray:
    """Which labels can be judged at all, (labels,): enough tickets carry them, and enough do not.

    >>> judged(np.array([[True, True]] + [[True, False]] * 5 + [[False, False]] * 5)).tolist()
    [True, False]
    """
    carried = targets.sum(axis=0)
    return np.asarray(np.minimum(carried, len(targets) - carried) >= LEAST, dtype=np.bool_)


def number_wrong(targets: Targets, probs: Probs) -> int:
    """About how many answers are wrong, by confident learning.

    An answer counts where the opposite one is as probable as it is on average on the tickets that carry the opposite.
    A label that cannot be judged (see `judged`) is taken to be right.
    """
    wrong = 0
    known = judged(targets)
    for given, prob in zip(targets.T[known], probs.T[known].astype(np.float64), strict=True):
        wrong += int((prob[~given] >= prob[given].mean()).sum())
        wrong += int((prob[given] <= prob[~given].mean()).sum())
    return wrong


def suspects(targets: Targets, probs: Probs) -> BoolArray:
    """Which answers are probably wrong, (tickets, labels): as many as are estimated, the most doubtful ones.

    Args:
        targets: (tickets, labels), as given.
        probs: (tickets, labels), calibrated, from models that had not seen the ticket.

    >>> targets = np.array([[True]] * 6 + [[False]] * 5)
    >>> probs = np.array([[0.1]] + [[0.9]] * 5 + [[0.2]] * 5, dtype=np.float32)
    >>> np.flatnonzero(suspects(targets, probs)).tolist()
    [0]
    """
    if targets.shape != probs.shape or targets.ndim != 2:
        raise ValueError(f"Targets {targets.shape} with probabilities {probs.shape}; expected (tickets, labels) twice.")
    doubt = np.where(judged(targets), doubts(targets, probs), 0.0)
    most = np.argsort(-doubt, axis=None, kind="stable")[: number_wrong(targets, probs)]
    found = np.zeros(targets.size, dtype=np.bool_)
    found[most] = doubt.ravel()[most] > EVEN
    return found.reshape(targets.shape)


def overlaps(targets: Targets, decided: BoolArray, names: Sequence[str]) -> list[Overlap]:
    """Every pair of labels that meet or are confused, the worst first; no label with fewer than `LEAST` tickets.

    `decided` is (tickets, labels): what models gave that had not seen the ticket.
    """
    carried = targets.sum(axis=0)
    missed, extra = targets & ~decided, decided & ~targets
    found = []
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            rarer = min(carried[i], carried[j])
            if rarer >= LEAST:
                both = (targets[:, i] & targets[:, j]).sum()
                mixed = ((missed[:, i] & extra[:, j]) | (missed[:, j] & extra[:, i])).sum()
                found.append(Overlap(names[i], names[j], float(both / rarer), float(mixed / rarer)))
    worst = sorted(found, key=lambda pair: -(pair.together + pair.confused))
    return [pair for pair in worst if pair.together or pair.confused]
