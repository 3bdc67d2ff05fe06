"""Compares what the starter's network can learn from: labels, smoothed labels, and the answers of larger networks.

As `encoders.py`: a part of the trades is held out whole, and no test set is read. A teacher learns from the same
tickets as its pupil, which learns from the mean of the labels and the teacher's probabilities.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import cast

import numpy as np

from encoders import HALF, measured
from starter import TAXONOMY, to_learn_from
from tables import publish, table
from tagdesk.arrays import Probs, Targets
from tagdesk.calibrate import with_none
from tagdesk.cli.training import read_taxonomy
from tagdesk.dataset import stratified_folds
from tagdesk.measure import examples_from
from tagdesk.scorers import Examples, Recipe
from tagdesk.scorers.transformer import TransformerScorer, fit
from tagdesk.scorers.transformer.scorer import averaged

SMOOTHED = (0.05, 0.1)
# Four of twelve layers are fine-tuned: a network of four times the size has to be trained on the same two cores.
LARGER = HALF.changed({"freeze_layers": 8, "learning_rate": 1e-4})


def main() -> None:
    """Fit and judge all rows, seed by seed; write results/teachers.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", required=True, help="a larger encoder: all-mpnet-base-v2, or its folder")
    parser.add_argument("--tickets", type=int, default=4000, help="to learn from, drawn at random")
    parser.add_argument("--judged", type=int, default=1600, help="tickets of held-out trades, drawn at random")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    for seed in arguments.seeds:
        learned, judged = _parts(arguments.tickets, arguments.judged, seed)
        rows += _compared(learned, judged, arguments.teacher, seed)
        publish("teachers", rows, table(rows))


def _compared(learned: Examples, judged: Examples, teacher: str, seed: int) -> list[dict[str, object]]:
    """The rows of one seed."""
    rows: list[dict[str, object]] = []

    def noted(name: str, probs: Probs, started: float) -> None:
        minutes = round((time.monotonic() - started) / 60, 1)
        rows.append({"learned from": name, "seed": seed} | measured(judged.targets, probs) | {"minutes": minutes})
        print(rows[-1], flush=True)

    def tried(name: str, targets: Probs, recipe: Recipe) -> tuple[TransformerScorer, Probs]:
        started = time.monotonic()
        # The loss takes probabilities as it takes labels.
        scorer = fit(Examples(learned.texts, cast("Targets", targets)), recipe.changed({"seed": seed}))
        probs = scorer.score(judged.texts).probs
        noted(name, probs, started)
        return scorer, probs

    labels = learned.targets.astype(np.float32)
    usual, of_usual = tried("labels", labels, HALF)
    for share in SMOOTHED:
        tried(f"labels, smoothed by {share}", labels * (1 - share) + share / 2, HALF)
    larger, of_larger = tried("labels, by the larger encoder", labels, LARGER.changed({"encoder": teacher}))
    noted("labels, mean of both encoders' probabilities", (of_usual + of_larger) / 2, time.monotonic())
    lessons = larger.score(learned.texts).probs
    pupil, _ = tried("the larger encoder and labels", (labels + lessons) / 2, HALF)
    both = (lessons + usual.score(learned.texts).probs) / 2
    tried("both encoders and labels", (labels + both) / 2, HALF)
    started = time.monotonic()
    noted("mean weights: labels, the larger encoder", averaged([usual, pupil]).score(judged.texts).probs, started)
    return rows


def _parts(tickets: int, judged: int, seed: int) -> Sequence[Examples]:
    """Tickets to learn from, and tickets of other trades; "none of these" is their last label."""
    everything = to_learn_from()
    labelled = examples_from(everything, read_taxonomy(TAXONOMY))
    units = [ticket.unit for ticket in everything]
    held_out, *_ = stratified_folds(labelled.texts, labelled.targets, 4, seed, units=units)
    chance = np.random.default_rng(seed)
    learn = chance.permutation(np.setdiff1d(np.arange(len(everything)), held_out))[:tickets]
    judge = np.sort(chance.permutation(held_out)[:judged])
    examples = Examples(labelled.texts, with_none(labelled.targets))
    return examples.take(learn), examples.take(judge)


if __name__ == "__main__":
    main()
