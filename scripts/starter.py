"""Builds the model that ships with tagdesk, from what the project contains; run it with `make starter`."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from tagdesk.cli.training import read_taxonomy
from tagdesk.dataset import Columns, read_tickets
from tagdesk.export import exported
from tagdesk.measure import Evidence
from tagdesk.model import Model
from tagdesk.report import report_folder, write_report
from tagdesk.scorers import Recipe
from tagdesk.train import Trained, train

PROJECT = Path(__file__).resolve().parent.parent
TICKETS = PROJECT / "data" / "tickets"
STARTER = PROJECT / "src" / "tagdesk" / "starter"
TAXONOMY = PROJECT / "src" / "tagdesk" / "taxonomies" / "support.toml"
# Folds hold whole trades, so that calibration, thresholds and report speak of trades that the model has never seen.
RECIPE = Recipe(kind="probe", encoder="all-MiniLM-L6-v2", folds=8, fold_by="unit")


def main() -> None:
    """Train, export, check, and put the model and its report into the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=STARTER, help="the folder that gets model/ and model.report/")
    arguments = parser.parse_args()
    columns = Columns(unit="domain")
    tickets = [ticket for file in sorted(TICKETS.glob("*.jsonl")) for ticket in read_tickets(file, columns).tickets]
    trained = train(tickets, RECIPE, taxonomy=read_taxonomy(TAXONOMY))
    texts = [ticket.text for ticket in tickets]
    with tempfile.TemporaryDirectory() as scratch, exported(trained.model, "int8", texts) as (model, found):
        saved = model.save(Path(scratch))
        _place(Path(scratch) / saved.id, arguments.out / "model")
    _report(trained, saved, arguments.out / "model")
    print(f"{saved.id}: {found.megabytes} MB, the same labels as in fp32 on {found.equal_sets:.2%} of its tickets")
    for name in ("exact_match", "f1_micro", "f1_macro", "hit_at_1", "false_alarm_rate", "ece"):
        print(f"{name} on unseen trades: {getattr(trained.report, name):.3f}")


def _place(built: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(built, target)


def _report(trained: Trained, model: Model, folder: Path) -> None:
    evidence: Evidence = trained.evidence
    about = {
        "model": model.id,
        "measured on": f"{trained.report.n} tickets of the project, each by a model that knew no ticket of its trade",
        "ECE before and after calibration": f"{trained.ece_raw:.3f}, {trained.report.ece or 0:.3f}",
        "Brier before and after calibration": f"{trained.brier_raw:.4f}, {trained.report.brier or 0:.4f}",
    }
    title = "What the starter model is worth"
    write_report(report_folder(folder), trained.report, evidence.targets, evidence.probs, title=title, about=about)


if __name__ == "__main__":
    main()
