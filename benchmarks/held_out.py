"""Scores of held-out tickets, as calibration and thresholds meet them, for the benchmarks of both."""

from __future__ import annotations

import argparse
import hashlib
import json
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
    parser.add_argument("--cache", type=Path, default=Path(".cache/held-out"), help="keeps scores")
    arguments = parser.parse_args()
    folder = arguments.data / "seed_tickets"
    return runs(_examples(folder / "train.csv", folder / "validation.csv"), arguments.seeds, arguments.cache)


def runs(reference: Examples, seeds: int, cache: Path) -> Iterator[Run]:
    """Every recipe at every size and seed, on the pilot tickets and the reference tickets; `cache` keeps scores."""
    pools = {"pilot": _examples(PILOT), "seed": reference}
    pools["both"] = Examples(
        [*pools["pilot"].texts, *pools["seed"].texts], np.vstack([pools["pilot"].targets, pools["seed"].targets])
    )
    cache.mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        for size, sources in SIZES.items():
            for source in sources:
                for seed in range(seeds):
                    yield _run(pools[source], recipe, size, seed, cache)


def _run(pool: Examples, recipe: str, size: int, seed: int, cache: Path) -> Run:
    rows = np.random.default_rng(seed).permutation(len(pool))
    drawn, rest = pool.take(rows[:size]), pool.take(rows[size:])
    settings = named_recipes()[recipe].changed({**RECIPES[recipe], "seed": seed})
    content = json.dumps([settings.to_dict(), list(drawn.texts), drawn.targets.tolist()])
    kept = cache / f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.npz"
    if not kept.exists():
        folds = stratified_folds(drawn.texts, drawn.targets, 5, seed)
        scores = score_out_of_fold(drawn, settings, folds)
        np.savez(kept, scores=scores, test=fit_scorer(drawn, settings).score(rest.texts).probs)
    with np.load(kept) as arrays:
        return Run(recipe, size, drawn.targets, arrays["scores"], rest.targets, arrays["test"])


def _examples(*files: Path) -> Examples:
    tickets = [ticket for file in files for ticket in read_tickets(file).tickets]
    return examples_from(tickets, support_taxonomy())
