"""Builds the model that ships with tagdesk, from what the project contains; run it with `make starter`.

It takes an hour and a half on two cores; a run that was ended early goes on. Why so: docs/explanation/starter.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from tagdesk.calibrate import with_none
from tagdesk.cli.training import read_taxonomy
from tagdesk.dataset import stratified_folds
from tagdesk.export import exported
from tagdesk.measure import Evidence, examples_from
from tagdesk.model import Model
from tagdesk.report import report_folder, write_report
from tagdesk.scorers import Examples, Recipe, fit_scorer
from tagdesk.scorers.transformer.scorer import TransformerScorer, averaged
from tagdesk.taxonomy import Taxonomy
from tagdesk.ticket import Ticket
from tagdesk.train import Trained, data_fingerprint, model_around

PROJECT = Path(__file__).resolve().parent.parent
TICKETS = PROJECT / "data" / "tickets"
STARTER = PROJECT / "src" / "tagdesk" / "starter"
TAXONOMY = PROJECT / "src" / "tagdesk" / "taxonomies" / "support.toml"
BUILD = PROJECT / "build" / "starter"
# A part of the tickets, whole trades of them, is held back: the best epoch, calibration, thresholds and report speak of
# trades that the model has never seen. In float32, as not every processor multiplies in bfloat16.
RECIPE = Recipe(
    kind="transformer",
    encoder="gte-small",
    folds=0,
    fold_by="unit",
    validation_share=0.06,
    epochs=3,
    batch_size=32,
    learning_rate=2e-4,
    typos=0.3,
    head_learning_rate=1e-3,
    vector_length=10.0,
    freeze_words=True,
    precision="fp32",
)
# Networks whose weights are averaged: how many of the lowest layers each keeps as they were pretrained. All begin with
# the same weights, and each reads the tickets in an order of its own.
INGREDIENTS = (0, 6)
# Trades that speak alike; none of them helps to judge another.
KIN = {
    "cards and payments": "banks",
    "home internet and tv": "mobile telecoms",
    "phones and wearables": "consumer electronics",
    "home appliances": "consumer electronics",
    "cloud storage and mail": "business software",
    "payroll and accounting software": "business software",
    "merchant payments": "banks",
    "marketplaces": "online retail",
    "food delivery": "groceries",
    "meal kits": "groceries",
    "online pharmacies": "healthcare booking",
    "travel agencies": "airlines",
    "books and news subscriptions": "streaming",
    "universities and schools": "education platforms",
    "beauty and cosmetics": "fashion",
}
UNNAMED = "unnamed company"  # no trade: there the writers are kept apart
CHECKED = 4000  # tickets on which the small graph must decide as the original does
STEP = 60  # seconds between two lines of progress


def main() -> None:
    """Train, export, check, and put the model and its report into the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=STARTER, help="the folder that gets model/ and model.report/")
    parser.add_argument("--build", type=Path, default=BUILD, help="the folder for networks and what is unfinished")
    parser.add_argument("--tickets", type=int, help="as many, drawn at random, to try the build out; all otherwise")
    arguments = parser.parse_args()
    tickets = to_learn_from()
    if arguments.tickets:
        chosen = np.sort(np.random.default_rng(RECIPE.seed).permutation(len(tickets))[: arguments.tickets])
        tickets = [tickets[place] for place in chosen]
    print(f"{len(tickets)} tickets of {len({ticket.unit for ticket in tickets})} trades", flush=True)
    taxonomy = read_taxonomy(TAXONOMY)
    learn, held_out = split_by_trade(tickets, taxonomy)
    networks = [
        ingredient([learn[row] for row in _order(len(learn), number)], held_out, taxonomy, number, arguments.build)
        for number in range(len(INGREDIENTS))
    ]
    trained = model_around(averaged(networks), learn + held_out, held_out, RECIPE, taxonomy)
    original = trained.model.save(arguments.build)  # in float32, for whoever wants to export it otherwise
    drawn = np.random.default_rng(RECIPE.seed).permutation(len(tickets))[:CHECKED]
    texts = [tickets[index].text for index in drawn]
    averaged_of = [{"freeze_layers": frozen} for frozen in INGREDIENTS]
    manifest = replace(original.manifest, origin={**original.manifest.origin, "averaged": averaged_of})
    whole = replace(trained.model, manifest=manifest)
    with tempfile.TemporaryDirectory() as scratch, exported(whole, "int8", texts) as (model, found):
        saved = model.save(Path(scratch))
        _place(Path(scratch) / saved.id, arguments.out / "model")
    _report(trained, saved, arguments.out / "model")
    same = f"labels as in fp32 on {found.equal_sets:.2%} of {len(texts)} tickets"
    print(f"{saved.id}: {found.megabytes} MB, {same}")
    for name in ("exact_match", "f1_micro", "f1_macro", "hit_at_1", "false_alarm_rate", "ece"):
        print(f"{name} on unseen trades: {getattr(trained.report, name):.3f}")


def to_learn_from() -> list[Ticket]:
    """The training part of data/tickets, each ticket with its trade as its unit."""
    lines = [line for file in sorted(TICKETS.glob("*.jsonl")) for line in file.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in map(json.loads, lines) if row["split"] == "train"]
    if strangers := KIN.keys() - {row["domain"] for row in rows}:
        raise SystemExit(f"No ticket comes from {', '.join(sorted(strangers))}: mend KIN.")
    return [Ticket(row["id"], row["text"], frozenset(row["labels"]), unit=_trade(row)) for row in rows]


def split_by_trade(tickets: Sequence[Ticket], taxonomy: Taxonomy) -> tuple[list[Ticket], list[Ticket]]:
    """The tickets to learn from, and those of other trades."""
    examples = examples_from(tickets, taxonomy)
    units = [ticket.unit for ticket in tickets]
    parts = round(1 / RECIPE.validation_share)
    held_out = set(stratified_folds(examples.texts, examples.targets, parts, RECIPE.seed, units=units)[0].tolist())
    sides: tuple[list[Ticket], list[Ticket]] = ([], [])
    for place, ticket in enumerate(tickets):
        sides[place in held_out].append(ticket)
    return sides


def ingredient(
    learn: Sequence[Ticket], held_out: Sequence[Ticket], taxonomy: Taxonomy, number: int, build: Path
) -> TransformerScorer:
    """One of the networks; what an earlier run has finished is taken from disk, what it has begun goes on."""
    recipe = RECIPE.changed({"freeze_layers": INGREDIENTS[number]})
    examples, validation = (
        Examples(part.texts, with_none(part.targets))
        for part in (examples_from(learn, taxonomy), examples_from(held_out, taxonomy))
    )
    name = f"{number}-{recipe.fingerprint}-{data_fingerprint(examples_from(learn, taxonomy), taxonomy)}"
    folder = build / name
    if not folder.is_dir():
        print(f"network {number + 1} of {len(INGREDIENTS)}", flush=True)
        unfinished = build / f"{name}.unfinished"
        fitted = cast(
            "TransformerScorer",
            fit_scorer(examples, recipe, validation=validation, checkpoint=unfinished, progress=_Progress()),
        )
        unfinished.mkdir(parents=True, exist_ok=True)
        fitted.save(unfinished)
        unfinished.rename(folder)
    return TransformerScorer.open(folder)


def _order(tickets: int, number: int) -> list[int]:
    """The order in which a network reads; the first takes the tickets as they lie."""
    if number == 0:
        return list(range(tickets))
    order: list[int] = np.random.default_rng(number).permutation(tickets).tolist()
    return order


def _trade(row: Mapping[str, Any]) -> str:
    domain = str(row["domain"])
    return f"{domain}, {row['batch']}" if domain.startswith(UNNAMED) else KIN.get(domain, domain)


class _Progress:
    """A line now and then: this runs for long, and often where nobody looks."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= STEP or what == "folds":
            print(f"{now - self._start:6.0f} s  {what} {done} of {total}", flush=True)
            self._last = now


def _place(built: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(built, target)


def _report(trained: Trained, model: Model, folder: Path) -> None:
    evidence: Evidence = trained.evidence
    about = {
        "model": model.id,
        "measured on": f"{trained.report.n} tickets of the project, of trades that the model knew no ticket of",
        "ECE before and after calibration": f"{trained.ece_raw:.3f}, {trained.report.ece or 0:.3f}",
        "Brier before and after calibration": f"{trained.brier_raw:.4f}, {trained.report.brier or 0:.4f}",
    }
    title = "What the starter model is worth"
    write_report(report_folder(folder), trained.report, evidence.targets, evidence.probs, title=title, about=about)


if __name__ == "__main__":
    main()
