"""Compares ways to fit thresholds by what they are worth on tickets that were not used to fit anything.

Trained on the pilot tickets and on the reference tickets.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from held_out import NAMES, RECIPES, SIZES, asked_for
from tagdesk import calibrate, policy
from tagdesk.arrays import Probs, Targets, Thresholds
from tagdesk.policy import Objective, parse_objective
from tagdesk.policy.thresholds import common, implied, observed, worth

OBJECTIVES = ("f1_macro", "f1_micro", "exact_match", "cost:fp=1,fn=5")
RESAMPLES = 20
SHRINKAGE = 50  # positives at which a label's own optimum counts half
FEWEST = 5  # positives; below, a label has no optimum of its own


def candidates(targets: Targets, probs: Probs, objective: Objective, seed: int) -> dict[str, Thresholds]:
    """Thresholds (labels,) by the name of the way that found them."""
    shared = common(targets, probs, objective)
    everywhere = np.full(targets.shape[1], shared)
    positives = targets.sum(axis=0)

    def optimum(rows: np.ndarray) -> Thresholds:
        labels = np.flatnonzero(targets[rows].sum(axis=0) >= FEWEST)
        return observed(targets[rows], probs[rows], objective, everywhere, labels)

    own = optimum(np.arange(len(targets)))
    draws = np.random.default_rng(seed).integers(0, len(targets), (RESAMPLES, len(targets)))
    bagged = np.median([optimum(rows) for rows in draws], axis=0)
    weight = positives / (positives + SHRINKAGE)
    theory = implied(probs, objective, shared)
    return {
        "0.5": np.full(targets.shape[1], 0.5),
        "one common threshold": everywhere,
        "own optimum": own,
        "own optimum, bagged": bagged,
        "own optimum, shrunk to the common one": weight * own + (1 - weight) * shared,
        "bagged and shrunk": weight * bagged + (1 - weight) * shared,
        "implied by the probabilities": theory,
        "bagged, halfway to implied": (bagged + theory) / 2,
        "own optimum, halfway to implied": policy.fit(targets, probs, NAMES, objective).suggest,
    }


def main() -> None:
    """Print what each way is worth, mean over sources and seeds, as Markdown; cost is per ticket, less is better."""
    found: dict[tuple[str, str, str, int], list[float]] = defaultdict(list)
    for number, run in enumerate(asked_for(__doc__)):
        calibration = calibrate.fit(run.targets, run.scores)
        probs, test_probs = calibration.apply(run.scores), calibration.apply(run.test_scores)
        for text in OBJECTIVES:
            objective = parse_objective(text)
            for name, thresholds in candidates(run.targets, probs, objective, number).items():
                value = worth(run.test_targets, test_probs >= thresholds.astype(np.float32), objective)
                per_ticket = -value / len(test_probs) if objective.kind == "cost" else value
                found[text, name, run.recipe, run.size].append(per_ticket)
    columns = [(recipe, size) for recipe in RECIPES for size in SIZES]
    for text in OBJECTIVES:
        print(f"\n| {text} |", " | ".join(f"{recipe} {size}" for recipe, size in columns), "| mean |")
        print("|---" * (len(columns) + 2) + "|")
        for name in dict.fromkeys(key[1] for key in found):
            means = [float(np.mean(found[text, name, recipe, size])) for recipe, size in columns]
            print(f"| {name} |", " | ".join(f"{mean:.3f}" for mean in (*means, np.mean(means))), "|")


if __name__ == "__main__":
    main()
