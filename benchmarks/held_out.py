"""Scores of held-out tickets, as calibration and thresholds meet them, for the benchmarks of both."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from own import PILOT
from tagdesk.arrays import Probs, Targets
from tagdesk.dataset import read_tickets, stratified_folds
from tagdesk.scorers import Examples, fit_scorer, named_recipes, score_out_of_fold
from tagdesk.train import examples_from, support_taxonomy

NAMES = support_taxonomy().names
# Small samples come from one source, large ones need both.
SIZES = {200: ("pilot", "seed"), 400: ("pilot", "seed"), 800: ("both",), 1600: ("both",)}
RECIPES = {"linear": {}, "probe": {"encoder": "all-MiniLM-L6-v2"}}


@dataclass(frozen=True)
class Run:
    """One draw of training tickets: their out-of-fold scores, and the refitted scorer's scores of all other tickets."""

    recipe: str
    size: int
    targets: Targets
    scores: Probs
    test_targets: Targets
    test_scores: Probs


def asked_for(description: str | None) -> Iterator[Run]:
    """Every recipe at every size and seed that the command line asks for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="the folder with seed_tickets/")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    folder = arguments.data / "seed_tickets"
    return runs(_examples(folder / "train.csv", folder / "validation.csv"), arguments.seeds)


def runs(reference: Examples, seeds: int) -> Iterator[Run]:
    """Every recipe at every size and seed, on the pilot tickets and the reference tickets."""
    pools = {"pilot": _examples(PILOT), "seed": reference}
    pools["both"] = Examples(
        [*pools["pilot"].texts, *pools["seed"].texts], np.vstack([pools["pilot"].targets, pools["seed"].targets])
    )
    for recipe in RECIPES:
        for size, sources in SIZES.items():
            for source in sources:
                for seed in range(seeds):
                    yield _run(pools[source], recipe, size, seed)


def _run(pool: Examples, recipe: str, size: int, seed: int) -> Run:
    rows = np.random.default_rng(seed).permutation(len(pool))
    drawn, rest = pool.take(rows[:size]), pool.take(rows[size:])
    settings = named_recipes()[recipe].changed({**RECIPES[recipe], "seed": seed})
    scores = score_out_of_fold(drawn, settings, stratified_folds(drawn.texts, drawn.targets, 5, seed))
    test_scores = fit_scorer(drawn, settings).score(rest.texts).probs
    return Run(recipe, size, drawn.targets, scores, rest.targets, test_scores)


def _examples(*files: Path) -> Examples:
    tickets = [ticket for file in files for ticket in read_tickets(file).tickets]
    return examples_from(tickets, support_taxonomy())
