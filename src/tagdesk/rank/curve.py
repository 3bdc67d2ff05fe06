"""Says from a learning curve how much further labels are expected to add."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import FloatArray, IntArray

FEWEST = 4  # rounds to which a curve is fitted
SPAN = 10.0  # rounds with fewer than 1 / SPAN of the labels say little about what comes next
EXPONENTS = np.arange(1, 16) / 10  # .1 is a curve that never ends, 1.5 one that is nearly over
LEAST_NOISE = 0.001  # of a figure; a curve without noise would make too sure
QUANTILES = (np.arange(99) + 1) / 100
TINY = 1e-280  # a probability below it is no number any more


@dataclass(frozen=True, slots=True)
class Gain:
    """What further labels are expected to add to a figure in 0..1, with the middle 95 % of what is plausible."""

    expected: float
    low: float
    high: float


def expected_gain(labels: IntArray, quality: FloatArray, ahead: int) -> Gain:
    """What the next labels are expected to add, by power laws fitted to the latest rounds.

    quality = ceiling - scale * labels ** -exponent, the scale not below 0 (Figueroa et al., 2012, "Predicting sample
    size required for classification performance", fit the same curve). No single exponent is believed: each of a grid
    counts by how well its curve fits, and each scale by its Student distribution. No chance is involved.

    Args:
        labels: (rounds,), rising.
        quality: (rounds,), measured in the same way in each round, in 0..1.
        ahead: how many labels further, at least 1.

    >>> labels = np.array([100, 200, 400, 800, 1600])
    >>> gain = expected_gain(labels, 0.9 - 2 * labels**-0.5, 50)
    >>> round(100 * gain.expected, 2)  # in points
    0.08
    """
    if labels.shape != quality.shape or labels.ndim != 1 or len(labels) < FEWEST:
        raise ValueError(f"labels {labels.shape}, quality {quality.shape}: expected at least {FEWEST} rounds for both.")
    if (labels[:1] < 1).any() or (np.diff(labels) <= 0).any() or ahead < 1:
        raise ValueError("labels: expected rising counts from 1 up, and at least 1 ahead.")
    if not ((quality >= 0) & (quality <= 1)).all():
        raise ValueError("quality: expected finite numbers in 0..1.")
    first = min(int(np.searchsorted(labels, labels[-1] / SPAN)), len(labels) - FEWEST)
    return _gain(labels[first:] / labels[-1], quality[first:], ahead / float(labels[-1]))


def _gain(size: FloatArray, quality: FloatArray, ahead: float) -> Gain:
    """The gain from size 1 to 1 + ahead; `size` and `quality` are (rounds,)."""
    from scipy.stats import t  # noqa: PLC0415 - slow to import

    freedom = len(size) - 2
    shape = size[:, np.newaxis] ** -EXPONENTS  # (rounds, exponents)
    shape -= shape.mean(axis=0)
    spread = (shape**2).sum(axis=0)
    scale = -(quality - quality.mean()) @ shape / spread
    misfit = ((quality[:, np.newaxis] - quality.mean() + scale * shape) ** 2).sum(axis=0)
    noise = np.maximum(misfit / freedom, LEAST_NOISE**2)
    error = np.sqrt(noise / spread)
    # Only a scale from 0 up makes a learning curve: each quantile is taken of that part of the distribution.
    rising = np.maximum(t.sf(-scale / error, freedom), TINY)
    scales = scale + error * t.isf(rising * (1 - QUANTILES[:, np.newaxis]), freedom)  # (quantiles, exponents)
    gains = np.maximum(scales, 0) * (1 - (1 + ahead) ** -EXPONENTS)
    logs = np.log(rising) - freedom / 2 * np.log(noise) - np.log(spread) / 2
    belief = np.exp(logs - logs.max())
    belief = np.broadcast_to(belief / belief.sum() / len(QUANTILES), gains.shape).ravel()
    order = np.argsort(gains, axis=None)
    ranked, running = gains.ravel()[order], np.cumsum(belief[order])
    low, high = (float(ranked[np.searchsorted(running, share).clip(max=len(ranked) - 1)]) for share in (0.025, 0.975))
    return Gain(float(belief[order] @ ranked), low, high)
