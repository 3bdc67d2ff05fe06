"""Whether scores still mean what they say, by tickets that people labelled."""

from __future__ import annotations

import math

import numpy as np

from tagdesk import calibrate
from tagdesk.arrays import BoolArray, FloatArray, Probs, Targets
from tagdesk.drift.difference import Estimate, mean

STEEPEST = 20.0  # a slope beyond it comes of tickets on which scores are nearly never wrong
RIGHT = Estimate(1.0, 0.0)  # the slope of scores that mean what they say
NO_BIAS = Estimate(0.0, 0.0)


def bias(targets: BoolArray, probs: FloatArray) -> Estimate:
    """How much oftener a label is true than its scores say, both (tickets,); below 0 where they promise too much.

    >>> bias(np.array([True, False, True, False]), np.array([0.9, 0.3, 0.9, 0.3])).value
    -0.1
    """
    return mean(targets - probs)


def slope(targets: Targets, probs: Probs) -> Estimate | None:
    """By what the logits of the scores must be multiplied to be right, over all labels; both (tickets, labels).

    Below 1 the scores are too sure. The error allows for the labels of a ticket hanging together (sandwich estimator).
    None where these tickets do not say: the scores are never wrong, or the labels are all the same.
    """
    logits = calibrate.logit(probs)
    if targets.all() or not targets.any() or logits[targets].min() > logits[~targets].max():
        return None
    log_slope, intercept = calibrate.fit_curve(targets.ravel(), logits.ravel())
    steepness = math.exp(log_slope)
    if not 1 / STEEPEST < steepness < STEEPEST:
        return None
    fitted = 1 / (1 + np.exp(-np.clip(steepness * logits + intercept, -500, 500)))
    changes = np.stack([steepness * logits, np.ones_like(logits)])  # of the logit, by log slope and by intercept
    spread = (changes * (fitted * (1 - fitted))).reshape(2, -1) @ changes.reshape(2, -1).T
    pulls = (changes * (targets - fitted)).sum(axis=2)  # (2, tickets)
    if np.linalg.cond(spread) > 1 / np.finfo(np.float64).eps:
        return None
    inverse = np.linalg.inv(spread)
    variance = (inverse @ (pulls @ pulls.T) @ inverse)[0, 0]
    return Estimate(steepness, steepness * math.sqrt(variance))
