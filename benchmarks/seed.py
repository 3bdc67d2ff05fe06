"""Trains every recipe on the 1,000 public reference tickets and prints its figures beside the published ones.

The tickets are those of A-nnaM/customer-support-classification at 7222a2c (MIT by its README), split 600/200/200 into
train.csv, validation.csv and test.csv with columns text,labels. No default is set by test.csv: recipes are compared by
their out-of-fold figures on the training part, printed as `own estimate`.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tables import publish
from tagdesk.dataset import read_tickets
from tagdesk.measure import judge_tickets
from tagdesk.scorers import Recipe, named_recipes
from tagdesk.ticket import Ticket
from tagdesk.train import support_taxonomy, train

RECIPES = ("linear", "probe", "probe,objective=exact_match", "probe,encoder=all-MiniLM-L6-v2", "transformer")
FIGURES = ("exact_match", "hamming_loss", "f1_micro", "f1_macro", "precision_weighted", "recall_weighted")
# Published or measured elsewhere on the same test.csv at threshold 0.5; see docs/explanation/quality.md.
REFERENCE = {
    "BERT base, published | train": (0.505, 0.0921, 0.732, 0.560, 0.875, 0.615),
    "TF-IDF + logistic regression | train": (0.610, 0.0664, 0.822, 0.700, 0.883, 0.752),
    "MiniLM frozen + logistic regression | train": (0.650, 0.0614, 0.843, 0.750, 0.882, 0.808),
    "MiniLM frozen + logistic regression | train + validation": (0.685, 0.0550, 0.860, 0.771, 0.899, 0.825),
    "MiniLM fine-tuned | train": (0.695, 0.0593, 0.854, 0.756, 0.855, 0.846),
    "SetFit, MiniLM, 21 min | train": (0.625, 0.0629, 0.834, 0.708, 0.882, 0.773),
    "AutoIntent classic-medium | train + validation": (0.635, 0.065, 0.842, 0.750, None, None),
    "three annotators, best": (0.740, 0.048, 0.879, 0.814, 0.906, 0.850),
}


@dataclass(frozen=True)
class Part:
    """Tickets to learn from under a name."""

    name: str
    tickets: Sequence[Ticket]


def main() -> None:
    """Run the recipes that were asked for and write benchmarks/results/seed.json and seed.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with seed_tickets/")
    parser.add_argument(
        "--recipes", nargs="+", default=RECIPES, help="names, each with settings if wished: probe,objective=exact_match"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--parts", nargs="+", default=["train + validation", "train"])
    arguments = parser.parse_args()
    folder = arguments.data / "seed_tickets"
    known = {name: read_tickets(folder / f"{name}.csv").tickets for name in ("train", "validation", "test")}
    parts = [
        Part("train + validation", known["train"] + known["validation"]),
        Part("train", known["train"]),
    ]
    rows = []
    for name in arguments.recipes:
        for part in parts:
            if part.name in arguments.parts:
                runs = [measure(recipe(name), seed, part, known["test"]) for seed in arguments.seeds]
                rows.append({"recipe": name, "trained_on": part.name, "runs": runs, **medians(runs)})
                print(line(rows[-1]), flush=True)
    save(rows)


def recipe(text: str) -> Recipe:
    """The recipe of a name with settings, as in `probe,objective=exact_match`."""
    name, *settings = text.split(",")
    return named_recipes()[name].changed(dict(setting.split("=", 1) for setting in settings))


def measure(recipe: Recipe, seed: int, part: Part, test: Sequence[Ticket]) -> dict[str, float]:
    """Figures of one training."""
    started = time.monotonic()
    trained = train(part.tickets, recipe.changed({"seed": seed}), taxonomy=support_taxonomy())
    seconds = time.monotonic() - started
    report = judge_tickets(trained.model, test).report(trained.model.taxonomy.names)
    figures = {name: getattr(report, name) for name in (*FIGURES, "ece", "brier", "hit_at_1", "no_label_rate")}
    own = {f"own_{name}": getattr(trained.report, name) for name in ("exact_match", "f1_micro", "f1_macro", "ece")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"seed": seed, **figures, **own, "seconds": round(seconds, 1), "peak_gigabytes_so_far": round(peak, 2)}


def medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """The median of each figure over the seeds."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0] if name != "seed"}


def line(row: dict[str, object]) -> str:
    """One row as Markdown."""
    own = f"{row['own_exact_match']:.3f} / {row['own_f1_micro']:.3f} / {row['own_f1_macro']:.3f}"
    cells = " | ".join(f"{row[name]:.4f}" if name == "hamming_loss" else f"{row[name]:.3f}" for name in FIGURES)
    extra = f"{row['ece']:.3f} | {row['no_label_rate']:.3f} | {row['seconds']:.0f} s | {own}"
    return f"| tagdesk {row['recipe']} | {row['trained_on']} | {cells} | {extra} |"


def save(rows: Sequence[dict[str, object]]) -> None:
    """Write the runs, and a table with the reference rows."""
    head = [
        (
            "| system | trained on | exact match | Hamming loss | F1 micro | F1 macro | precision w. | recall w. "
            "| ECE | no label | training | own estimate: exact match / F1 micro / F1 macro |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    table = [*head, *(line(row) for row in rows)]
    for name, figures in REFERENCE.items():
        system, _, trained_on = name.partition(" | ")
        cells = " | ".join("" if figure is None else str(figure) for figure in figures)
        table.append(f"| {system} | {trained_on} | {cells} | | | | |")
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    publish("seed", {"machine": machine, "rows": rows}, table)


if __name__ == "__main__":
    main()
