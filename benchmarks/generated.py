"""Asks whether tickets that `tagdesk generate` composes help a model to judge trades that it has never seen.

Each trade of data/tickets is judged by a probe that learned from the other trades, with and without composed tickets
beside them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from tagdesk.calibrate import with_none
from tagdesk.dataset import read_tickets, stratified_folds
from tagdesk.measure import examples_from
from tagdesk.scorers import Examples, Recipe, score_out_of_fold
from tagdesk.train import cross_fitted, support_taxonomy

RESULTS = Path(__file__).parent / "results"
OWN = Path(__file__).resolve().parent.parent / "data" / "tickets"
FIGURES = ("exact_match", "f1_micro", "f1_macro", "hit_at_1", "false_alarm_rate", "ece")


def main() -> None:
    """Compare shares of composed tickets; write results/generated.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generated", type=Path, required=True, help="a file that `tagdesk generate` wrote")
    parser.add_argument("--few", type=int, default=600, help="own tickets in the experiment with few of them")
    arguments = parser.parse_args()
    taxonomy = support_taxonomy()
    lines = [line for file in sorted(OWN.glob("*.jsonl")) for line in file.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in map(json.loads, lines) if row["split"] == "train"]
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
    save(found)


def measured(own: Examples, units: list[str], composed: Examples) -> dict[str, float | None]:
    """The figures on unseen trades of probes that learned from the other trades, and from the composed tickets."""
    recipe = Recipe(kind="probe", encoder="all-MiniLM-L6-v2")
    names = support_taxonomy().names
    folds = stratified_folds(own.texts, own.targets, 4, 0, units=units)
    everything = Examples([*own.texts, *composed.texts], with_none(np.vstack([own.targets, composed.targets])))
    raw = score_out_of_fold(everything, recipe, folds)[: len(own)]  # composed tickets are in no fold: always learned
    report = cross_fitted(own.targets, raw, folds, names, recipe).report(names)
    return {key: getattr(report, key) for key in FIGURES}


def save(rows: list[dict[str, float | None]]) -> None:
    """Write the figures as JSON and as a table."""
    head = list(rows[0])
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        cells = (f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values())
        lines.append(f"| {' | '.join(cells)} |")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "generated.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "generated.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
