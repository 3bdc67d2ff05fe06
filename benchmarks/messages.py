"""Scores models on public messages from other companies: is the best guess right, and is chatter left alone?

The messages carry one label where they may deserve two, so hit@1 and average precision count, not exact match. Sources
and licences: docs/explanation/quality.md. The starter has never seen any of them.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

from tagdesk.dataset import read_tickets
from tagdesk.measure import judge_tickets
from tagdesk.model import Model
from tagdesk.scorers import named_recipes
from tagdesk.ticket import Ticket
from tagdesk.train import support_taxonomy, train

RESULTS = Path(__file__).parent / "results"
SETS = ("banking77", "dstc11_natcs", "multidogo", "bitext", "out_of_scope")
FIGURES = ("hit_at_1", "average_precision_macro", "ece", "no_label_rate", "false_alarm_rate")


def main() -> None:
    """Measure the starter and models trained on the reference tickets; write results/messages.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with messages/ and seed_tickets/")
    parser.add_argument("--most", type=int, default=2000, help="messages of each set, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    seed_tickets = [
        ticket
        for name in ("train", "validation")
        for ticket in read_tickets(arguments.data / "seed_tickets" / f"{name}.csv").tickets
    ]
    models = {"starter": Model.load("starter")}
    for name in ("linear", "probe"):
        recipe = named_recipes()[name]
        models[f"{name} on reference tickets"] = train(seed_tickets, recipe, taxonomy=support_taxonomy()).model
    rows = []
    for name in SETS:
        tickets = drawn(read_tickets(arguments.data / "messages" / f"{name}.csv").tickets, arguments)
        for label, model in models.items():
            report = judge_tickets(model, tickets).report(model.taxonomy.names)
            rows.append({"set": name, "model": label, "n": report.n} | {key: getattr(report, key) for key in FIGURES})
            print(rows[-1], flush=True)
    save(rows)


def drawn(tickets: Sequence[Ticket], arguments: argparse.Namespace) -> list[Ticket]:
    """All tickets, or a random sample of as many as were asked for."""
    if len(tickets) <= arguments.most:
        return list(tickets)
    return random.Random(arguments.seed).sample(list(tickets), arguments.most)  # noqa: S311 - a sample, not a secret


def save(rows: Sequence[dict[str, object]]) -> None:
    """Write the figures as JSON and as a table."""
    table = ["| messages | model | n | hit@1 | mean average precision | ECE | no label | false alarms |"]
    table.append("|---|---|---|---|---|---|---|---|")
    for row in rows:
        figures = [row[key] for key in FIGURES]
        cells = " | ".join("-" if figure is None else f"{figure:.3f}" for figure in figures)
        table.append(f"| {row['set']} | {row['model']} | {row['n']} | {cells} |")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "messages.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "messages.md").write_text("\n".join(table) + "\n", encoding="utf-8")
    print("\n".join(table))


if __name__ == "__main__":
    main()
