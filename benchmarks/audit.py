"""Plants errors among the labels of a file and counts how many of them an audit finds.

Every answer (does this ticket deserve this label?) is turned round with the same small probability. What the audit
suspects is held against what was planted; errors that were in the file before count against it.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from own import PILOT
from tables import publish, table
from tagdesk.arrays import BoolArray
from tagdesk.dataset import read_tickets, stratified_folds
from tagdesk.label_errors import doubts, suspects
from tagdesk.measure import examples_from
from tagdesk.scorers import Examples, Recipe
from tagdesk.train import out_of_fold, support_taxonomy


def main() -> None:
    """Audit the reference tickets and the project's own with planted errors; write results/audit.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with seed_tickets/")
    parser.add_argument("--share", type=float, default=0.05, help="of the answers that are turned round")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    files = {
        "reference tickets": (arguments.data / "seed_tickets" / "tickets.csv", "starter"),
        "pilot tickets": (PILOT, "all-MiniLM-L6-v2"),  # the starter has learned from them
    }
    for name, (file, encoder) in files.items():
        recipe = Recipe(kind="probe", encoder=encoder, folds=5)
        taxonomy = support_taxonomy()
        examples = examples_from(read_tickets(file).tickets, taxonomy)
        runs = [
            measured(examples, taxonomy.names, recipe.changed({"seed": seed}), arguments.share)
            for seed in range(arguments.seeds)
        ]
        rows.append({"file": name, "encoder": encoder, "tickets": len(examples)} | medians(runs))
        print(rows[-1], flush=True)
    lines = [f"{arguments.share:.0%} of the answers turned round; medians over seeds.", "", *table(rows)]
    publish("audit", rows, lines)


def measured(examples: Examples, names: Sequence[str], recipe: Recipe, share: float) -> dict[str, float]:
    """Plant errors, audit, and count."""
    flips: BoolArray = np.random.default_rng(recipe.seed).random(examples.targets.shape) < share
    spoiled = Examples(examples.texts, examples.targets ^ flips)
    folds = stratified_folds(spoiled.texts, spoiled.targets, recipe.folds, recipe.seed)
    probs = out_of_fold(spoiled, names, recipe, folds).probs
    found = suspects(spoiled.targets, probs)
    worst = np.argsort(-doubts(spoiled.targets, probs), axis=None)[:100]
    return {
        "planted": float(flips.sum()),
        "suspected": float(found.sum()),
        "precision": float(flips[found].mean()),
        "recall": float(found[flips].mean()),
        "precision of the first 100": float(flips.ravel()[worst].mean()),
    }


def medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """The median of each figure over the seeds."""
    return {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}


if __name__ == "__main__":
    main()
