"""Scores models on messages from elsewhere: is the best guess right, and is chatter left alone?

The public messages carry one label where they may deserve two, so hit@1 and average precision count there, not exact
match. The project's own test part and the reference tickets carry whole label sets. Sources and licences:
docs/explanation/quality.md. The starter has never seen any of them.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from own import TEST
from tables import publish, table
from tagdesk.dataset import read_tickets
from tagdesk.evaluate import Report
from tagdesk.measure import judge_tickets
from tagdesk.model import Model
from tagdesk.scorers import named_recipes
from tagdesk.ticket import Ticket
from tagdesk.train import support_taxonomy, train

SETS = ("banking77", "dstc11_natcs", "multidogo", "bitext", "out_of_scope")
FIGURES = {
    "hit_at_1": "hit@1",
    "average_precision_macro": "mean average precision",
    "exact_match": "exact match",
    "f1_micro": "F1 micro",
    "f1_macro": "F1 macro",
    "f1_worst": "worst F1",
    "ece": "ECE",
    "false_alarm_rate": "false alarms",
    "refused_rate": "called out of scope",
}
WHOLE = ("exact_match", "f1_micro", "f1_macro", "f1_worst")  # figures that need whole label sets


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
        if name == "probe":  # not the starter's own encoder, which has learned from the project's tickets
            recipe = recipe.changed({"encoder": "all-MiniLM-L6-v2"})
        models[f"{name} on reference tickets"] = train(seed_tickets, recipe, taxonomy=support_taxonomy()).model
    rows = []
    for name, path in sets(arguments.data).items():
        tickets = drawn(read_tickets(path).tickets, arguments)
        for label, model in models.items():
            report = judge_tickets(model, tickets).report(model.taxonomy.names)
            rows.append(
                {"set": name, "model": label, "id": model.id, "n": report.n}
                | figures(report, is_whole=name not in SETS)
            )
            print(rows[-1], flush=True)
    publish("messages", rows, table(rows, {"set": "messages", "model": "model", "n": "n", **FIGURES}))


def sets(data: Path) -> dict[str, Path]:
    """The files by what they are called here."""
    public = {name: data / "messages" / f"{name}.csv" for name in SETS}
    return {
        **public,
        "own test part": TEST,
        "reference tickets, test": data / "seed_tickets" / "test.csv",
    }


def figures(report: Report, *, is_whole: bool) -> dict[str, float | None]:
    """What the set allows to say; nothing that needs whole label sets where a message has one label at most."""
    worst = min((label.f1 for label in report.per_label.values() if label.f1 is not None), default=None)
    values = {"f1_worst": worst} | {key: getattr(report, key) for key in FIGURES if key != "f1_worst"}
    return {key: None if key in WHOLE and not is_whole else values[key] for key in FIGURES}


def drawn(tickets: Sequence[Ticket], arguments: argparse.Namespace) -> list[Ticket]:
    """All tickets, or a random sample of as many as were asked for."""
    if len(tickets) <= arguments.most:
        return list(tickets)
    return random.Random(arguments.seed).sample(list(tickets), arguments.most)  # noqa: S311 - a sample, not a secret


if __name__ == "__main__":
    main()
