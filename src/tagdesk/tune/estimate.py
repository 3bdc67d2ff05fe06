"""How long a search will take, by what its recipes take for a sample."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tagdesk.arrays import IntArray
from tagdesk.scorers import Recipe
from tagdesk.tune.bench import Bench
from tagdesk.tune.plan import FOLDS, Plan

SAMPLE: Final = 400  # tickets that are fitted and scored to take the time
_WARM: Final = 40  # tickets that are fitted before the clock counts: what is imported late is imported by then
# How a fit grows with its tickets. A probe's words grow with them and its kernel with their square.
_GROWTH: Final = {"linear": 1.0, "probe": 1.5, "transformer": 1.0}


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that a recipe takes: once to read all texts, and then for each fold."""

    reading: float
    fold: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a search would cost without a limit.

    Attributes:
        costs: by name of the recipe.
        trials: how many are still to be done.
    """

    costs: Mapping[str, Cost]
    trials: int

    @classmethod
    def of(cls, plan: Plan, bench: Bench, trials: int) -> Estimate:
        """Fit each recipe of a plan once, on a sample, and extrapolate; what encoders read of it stays on the bench."""
        costs = {}
        for name, recipe in plan.task.space.bases.items():
            _timed(bench, recipe, plan.sample(_WARM))
            rows = plan.sample(SAMPLE)
            read = _reading(bench, recipe, rows)
            fold = _timed(bench, recipe, rows) * ((len(plan.inner) / len(rows)) ** _GROWTH[recipe.kind])
            costs[name] = Cost(read * max(0, len(plan.inner) - len(rows)), fold)
        return cls(costs, trials)

    @property
    def trial(self) -> float:
        """Seconds of one trial that is not cut short, on average over the recipes."""
        return FOLDS * sum(cost.fold for cost in self.costs.values()) / len(self.costs)

    @property
    def seconds(self) -> float:
        """Seconds of all trials; the pruned ones take less.

        >>> round(Estimate({"linear": Cost(0, 1), "probe": Cost(30, 3)}, 60).seconds)
        630
        """
        return sum(cost.reading for cost in self.costs.values()) + self.trials * self.trial

    def trials_within(self, seconds: float) -> int:
        """How many trials a time allows."""
        left = seconds - sum(cost.reading for cost in self.costs.values())
        return min(self.trials, max(0, int(left / max(self.trial, 1e-9))))


def _reading(bench: Bench, recipe: Recipe, rows: IntArray) -> float:
    """Seconds for one text that the recipe's encoder has not read."""
    if recipe.kind != "probe":
        return 0.0
    texts = [bench.plan.inner.texts[row] for row in rows]
    started = time.monotonic()
    new = bench.readings.of(recipe, texts)
    unread = max(1, len(new.ids) - _WARM)
    return (time.monotonic() - started) / unread


def _timed(bench: Bench, recipe: Recipe, rows: IntArray) -> float:
    """Seconds to fit four fifths of the rows, score the rest, and judge them."""
    cut = max(1, len(rows) // 5)
    held, seen = rows[:cut], rows[cut:]
    texts = [bench.plan.inner.texts[row] for row in held]
    started = time.monotonic()
    fitted = bench.fit(recipe, seen)
    raw = np.zeros(bench.plan.inner.targets.shape, dtype=np.float32)
    raw[held] = fitted.score(texts)
    halves = held[::2], held[1::2]
    if all(len(half) for half in halves):
        bench.worth(recipe, raw, halves)
    return time.monotonic() - started
