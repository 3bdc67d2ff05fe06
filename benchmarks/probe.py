"""Compares heads on the same frozen encoder: which parts of the probe earn their place?

Figures are out of fold, calibrated and decided by what the other folds teach, medians over seeds; on the pilot tickets
the folds hold whole trades. No test file is read.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from own import PILOT
from tables import publish, table
from tagdesk.arrays import IntArray, Probs
from tagdesk.dataset import Columns, read_tickets, stratified_folds
from tagdesk.evaluate import Report
from tagdesk.measure import examples_from
from tagdesk.scorers import Examples, Recipe, score_out_of_fold
from tagdesk.scorers.probe import open_graph, see
from tagdesk.train import cross_fitted, support_taxonomy

NAMES = support_taxonomy().names
LOGISTIC = "logistic regression, C = 10, on the embedding"
HEADS = {
    "kernel ridge on the embedding": {"words": 0, "middle": False, "label_sets": False},
    "with word pieces and pairs": {"middle": False, "label_sets": False},
    "with the middle layer": {"words": 0, "label_sets": False},
    "with both": {"label_sets": False},
    "with both and label sets (the probe)": {},
}
FIGURES = {"exact_match": "exact match", "f1_micro": "F1 micro", "f1_macro": "F1 macro", "ece": "ECE"}


def main() -> None:
    """Print the table and write benchmarks/results/probe.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with seed_tickets/")
    parser.add_argument("--encoder", default="all-MiniLM-L6-v2")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    base = Recipe(kind="probe", encoder=arguments.encoder)
    folder = arguments.data / "seed_tickets"
    known = [*read_tickets(folder / "train.csv").tickets, *read_tickets(folder / "validation.csv").tickets]
    pilot = read_tickets(PILOT, Columns(unit="domain")).tickets
    trades = [ticket.unit for ticket in pilot]
    pools = {
        "reference tickets": (examples_from(known, support_taxonomy()), None),
        "pilot tickets, unseen trades": (examples_from(pilot, support_taxonomy()), trades),
    }
    rows = []
    for pool, (examples, units) in pools.items():
        folds = {
            seed: stratified_folds(examples.texts, examples.targets, 5, seed, units=units) for seed in arguments.seeds
        }
        for name in (LOGISTIC, *HEADS):
            recipe = base.changed(HEADS.get(name, {"label_sets": False}))
            reports = [measured(name, examples, recipe, folds[seed]) for seed in arguments.seeds]
            rows.append({"tickets": pool, "head": name} | medians(reports))
            print(rows[-1], flush=True)
    publish("probe", rows, table(rows, {"tickets": "tickets", "head": "head", **FIGURES}))


def measured(name: str, examples: Examples, recipe: Recipe, folds: Sequence[IntArray]) -> Report:
    """The report of one head on one deal of folds."""
    raw = logistic(examples, recipe, folds) if name == LOGISTIC else score_out_of_fold(examples, recipe, folds)
    return cross_fitted(examples.targets, raw, folds, NAMES, recipe).report(NAMES)


def logistic(examples: Examples, recipe: Recipe, folds: Sequence[IntArray]) -> Probs:
    """Out-of-fold scores of the usual probe."""
    embeddings = see(open_graph(recipe), examples.texts, recipe).views[0]
    probs = np.zeros(examples.targets.shape, dtype=np.float32)
    for held_out in folds:
        seen = np.setdiff1d(np.arange(len(examples)), held_out)
        model = OneVsRestClassifier(LogisticRegression(C=10, max_iter=1000))
        model.fit(embeddings[seen], examples.targets[seen].astype(int))
        probs[held_out] = model.predict_proba(embeddings[held_out])
    return probs


def medians(reports: Sequence[Report]) -> dict[str, float]:
    """The median of each figure over the seeds."""
    return {name: statistics.median(getattr(report, name) for report in reports) for name in FIGURES}


if __name__ == "__main__":
    main()
