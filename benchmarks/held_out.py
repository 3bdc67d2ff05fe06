"""Scores of held-out tickets, as calibration and thresholds meet them, for the benchmarks of both."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tagdesk.arrays import Probs, Targets
from tagdesk.dataset import stratified_folds
from tagdesk.scorers import Examples, fit_scorer, named_recipes, score_out_of_fold
from tagdesk.text import clean

PILOT = Path(__file__).parents[1] / "data" / "tickets" / "pilot.jsonl"
CODES = {
    "B": "Billing Issue",
    "T": "Technical Problem",
    "A": "Account Access",
    "P": "Product Inquiry",
    "R": "Refund Request",
    "S": "Shipping Concern",
    "C": "Service Complaint",
}
NAMES = list(CODES.values())
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


def runs(seed_tickets: Path, seeds: int, cache: Path) -> Iterator[Run]:
    """Every recipe at every size and seed; `seed_tickets` holds train.csv and validation.csv, `cache` keeps scores."""
    pools = {"pilot": _pilot(), "seed": _seed(seed_tickets)}
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


def _pilot() -> Examples:
    rows = [json.loads(line) for line in PILOT.read_text(encoding="utf-8").splitlines()]
    return _examples([row["text"] for row in rows], [[CODES[code] for code in row["labels"]] for row in rows])


def _seed(folder: Path) -> Examples:
    rows = []
    for name in ("train.csv", "validation.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows += list(csv.DictReader(file))
    return _examples([row["text"] for row in rows], [row["labels"].split("|") for row in rows])


def _examples(texts: list[str], labels: list[list[str]]) -> Examples:
    return Examples([clean(text).text for text in texts], np.array([[name in row for name in NAMES] for row in labels]))
