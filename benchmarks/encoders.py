"""Compares encoders, frozen and fine-tuned, by tickets of trades that they learned nothing from.

A quarter of the trades is held out whole; every row learns from the others. The project's own training tickets only: no
test set is read. The fine-tuned rows are the starter's recipe with something changed; each takes up to an hour or so.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from starter import RECIPE, TAXONOMY, to_learn_from
from tables import publish, table
from tagdesk.arrays import Probs, Targets
from tagdesk.calibrate import with_none
from tagdesk.cli.training import read_taxonomy
from tagdesk.dataset import stratified_folds
from tagdesk.measure import examples_from
from tagdesk.scorers import Examples, Recipe, fit_scorer

HALF = RECIPE.changed({"freeze_layers": 6})
ROWS = {
    "all-MiniLM-L6-v2, frozen": Recipe(kind="probe", encoder="all-MiniLM-L6-v2"),
    "gte-small, frozen": Recipe(kind="probe", encoder="gte-small"),
    "all-MiniLM-L6-v2, upper half fine-tuned": RECIPE.changed({"encoder": "all-MiniLM-L6-v2", "freeze_layers": 3}),
    "gte-small, upper half fine-tuned": HALF,
    "gte-small, all but the words fine-tuned": RECIPE,
    "upper half, nothing misspelled": HALF.changed({"typos": 0.0}),
    "upper half, vectors as long as they come": HALF.changed({"vector_length": 0.0}),
    "upper half, half the learning rate": HALF.changed({"learning_rate": RECIPE.learning_rate / 2}),
}
THRESHOLDS = np.arange(0.1, 0.9, 0.02)


def main() -> None:
    """Fit and judge the rows that were asked for; write results/encoders.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--tickets", type=int, help="as many, drawn at random; all of them otherwise")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tickets = to_learn_from()
    drawn = np.random.default_rng(arguments.seed).permutation(len(tickets))[: arguments.tickets]
    tickets = [tickets[index] for index in np.sort(drawn)]
    labelled = examples_from(tickets, read_taxonomy(TAXONOMY))
    held_out, *_ = stratified_folds(
        labelled.texts, labelled.targets, 4, arguments.seed, units=[ticket.unit for ticket in tickets]
    )
    everything = Examples(labelled.texts, with_none(labelled.targets))
    learned = everything.take(np.setdiff1d(np.arange(len(tickets)), held_out))
    judged = everything.take(held_out)
    rows = []
    for name in arguments.rows:
        started = time.monotonic()
        probs = fit_scorer(learned, ROWS[name].changed({"seed": arguments.seed})).score(judged.texts).probs
        figures = measured(judged.targets, probs) | {"minutes": round((time.monotonic() - started) / 60, 1)}
        rows.append({"encoder": name, "learned from": len(learned), "judged": len(judged)} | figures)
        print(rows[-1], flush=True)
    publish("encoders", rows, table(rows))


def measured(targets: Targets, probs: Probs) -> dict[str, float]:
    """What scores are worth before calibration; thresholds are the best that one threshold for all labels can be.

    Args:
        targets: (tickets, labels + 1), "none of these" last.
        probs: the same shape.
    """
    labels, scores = targets[:, :-1], probs[:, :-1]
    asked = labels.any(axis=1)
    given = [scores >= threshold for threshold in THRESHOLDS]
    return {
        "best exact match": float(max((answer == labels).all(axis=1).mean() for answer in given)),
        "best F1 micro": float(max(f1_score(labels, answer, average="micro", zero_division=0) for answer in given)),
        "mean average precision": float(average_precision_score(labels, scores, average="macro")),
        "hit@1": float(labels[asked, scores[asked].argmax(axis=1)].mean()),
        "none: area under curve": float(roc_auc_score(targets[:, -1], probs[:, -1])),
    }


if __name__ == "__main__":
    main()
