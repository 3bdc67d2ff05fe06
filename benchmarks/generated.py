"""Asks whether tickets that `tagdesk generate` composes help a model to judge trades that it has never seen.

Each trade of data/tickets is judged by a probe that learned from the other trades, with and without composed tickets
beside them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from own import own_rows
from tables import publish, table
from tagdesk.calibrate import with_none
from tagdesk.dataset import read_tickets, stratified_folds
from tagdesk.measure import examples_from
from tagdesk.scorers import Examples, Recipe, score_out_of_fold
from tagdesk.train import cross_fitted, support_taxonomy

FIGURES = ("exact_match", "f1_micro", "f1_macro", "hit_at_1", "false_alarm_rate", "ece")


def main() -> None:
    """Compare shares of composed tickets; write results/generated.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generated", type=Path, required=True, help="a file that `tagdesk generate` wrote")
    parser.add_argument("--few", type=int, default=600, help="own tickets in the experiment with few of them")
    arguments = parser.parse_args()
    taxonomy = support_taxonomy()
    rows = own_rows("train")
    targets = taxonomy.encode([frozenset(row["labels"]) for row in rows])
    own = Examples([row["text"] for row in rows], targets)
    composed = examples_from(read_tickets(arguments.generated).tickets, taxonomy)
    units = np.array([row["domain"] for row in rows])
    found = []
    for learned in (arguments.few, len(own)):
        some = np.sort(np.random.default_rng(0).permutation(len(own))[:learned])
        for added in (0, 1000, len(composed)):
            report = measured(own.take(some), units[some].tolist(), composed.take(np.arange(added)))
            found.append({"own tickets": learned, "composed tickets": added} | report)
            print(found[-1], flush=True)
    publish("generated", found, table(found))


def measured(own: Examples, units: list[str], composed: Examples) -> dict[str, float | None]:
    """The figures on unseen trades of probes that learned from the other trades, and from the composed tickets."""
    recipe = Recipe(kind="probe", encoder="all-MiniLM-L6-v2")
    names = support_taxonomy().names
    folds = stratified_folds(own.texts, own.targets, 4, 0, units=units)
    everything = Examples([*own.texts, *composed.texts], with_none(np.vstack([own.targets, composed.targets])))
    raw = score_out_of_fold(everything, recipe, folds)[: len(own)]  # composed tickets are in no fold: always learned
    report = cross_fitted(own.targets, raw, folds, names, recipe).report(names)
    return {key: getattr(report, key) for key in FIGURES}


if __name__ == "__main__":
    main()
