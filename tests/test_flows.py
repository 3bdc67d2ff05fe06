"""The product's story, in four flows, each as its user lives it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import tiny
from command import tagdesk
from tagdesk import Model, Recipe
from tagdesk.dataset import write_tickets
from tagdesk.ticket import Ticket
from tagdesk.train import train

EXAMPLES = Path(__file__).parent.parent / "examples" / "tickets.csv"


def test_a_newcomer_labels_real_tickets_with_one_command(tmp_path: Path) -> None:
    """No model, no training, no settings: a file goes in, the same rows come out with labels that make sense."""
    out = tmp_path / "labelled.jsonl"
    answer = tagdesk("classify", EXAMPLES, out)
    assert answer.code == 0
    assert "rows read" in answer.err
    given = list(csv.DictReader(EXAMPLES.read_text(encoding="utf-8").splitlines(keepends=True)))
    labelled = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [(row["id"], row["text"]) for row in labelled] == [(row["id"], row["text"]) for row in given]
    by_id = {row["id"]: set(row["predicted_labels"]) for row in labelled}
    assert by_id["1001"] == {"Billing Issue", "Refund Request"}
    assert by_id["1002"] == {"Technical Problem"}
    assert "Account Access" in by_id["1004"]
    assert {row["decision"] for row in labelled} <= {"none", "suggest", "automate"}


def test_a_team_trains_on_its_own_categories_and_learns_what_the_model_is_worth(tmp_path: Path) -> None:
    """Check, split, train, evaluate, card: labels that the product has never heard of, and no line of code."""
    words = {
        "Meter Reading": "meter reading counter kWh",
        "Outage": "dark outage power gone",
        "Moving": "moving new flat",
    }
    rows = [
        {"text": f"{given} ok {n}", "labels": [name]}
        for n in range(30)
        for name, given in ((name, " ".join(text.split()[: 2 + n % 2])) for name, text in words.items())
    ]
    file, models = tmp_path / "own.jsonl", tmp_path / "models"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert tagdesk("check", file).code == 0
    tickets = [Ticket(str(n), str(row["text"]), frozenset(row["labels"])) for n, row in enumerate(rows)]
    write_tickets(tmp_path / "train.csv", tickets[:72])
    write_tickets(tmp_path / "test.csv", tickets[72:])
    trained = tagdesk(
        *("train", tmp_path / "train.csv", "--out", models, "--recipe", "linear", "--json"),
        *("--test", tmp_path / "test.csv"),
    ).json
    assert set(trained["names"]) == set(words)
    assert trained["exact_match"] == 1.0
    measured = tagdesk("evaluate", trained["model"], tmp_path / "test.csv", "--models", models, "--json").json
    assert measured["f1_macro"] == trained["f1_macro"]
    assert "| Outage |" in tagdesk("card", trained["model"], "--models", models).out
    assert trained["model"] in tagdesk("models", "--models", models).out
    said = tagdesk("predict", "power outage, all dark", "--json", "--model", trained["path"]).json
    assert said[0]["labels"] == ["Outage"]


def test_a_model_travels_from_python_to_a_graph_that_serves(
    tickets: list[Ticket], encoder: Path, tmp_path: Path
) -> None:
    """Train in Python, export from the command line, serve the copy elsewhere: one decision all the way."""
    trained = train(tickets, Recipe(kind="probe", encoder=str(encoder)))
    saved = trained.model.save(tmp_path / "models")
    exported = tagdesk(
        "export", tmp_path / "models" / saved.id, "--out", tmp_path / "served", "--precision", "fp32", "--json"
    )
    assert exported.code == 0
    elsewhere = tmp_path / "copied by hand"
    Path(exported.json["path"]).rename(elsewhere)
    texts = [ticket.text for ticket in tiny.tickets(30, seed=4)]
    served = Model.load(elsewhere)
    assert served.scorer.kind == "onnx"
    for before, after in zip(trained.model.predict(texts), served.predict(texts), strict=True):
        assert after.labels == before.labels
        assert after.scores == pytest.approx(before.scores, abs=1e-3)
        assert after.policy == before.policy


def test_a_messy_export_loses_no_row_and_is_mended_from_what_is_told(
    saved: Path, models: dict[str, Model], tmp_path: Path
) -> None:
    """Bad rows do not stop good ones, the rejects say what to mend, and mending changes nothing else."""
    model = str(saved / models["probe"].id)
    messy, out = tmp_path / "messy.csv", tmp_path / "out.csv"
    lines = ["id,text", "1,card charged twice", "2,", "3,parcel late,oops", "", "4,password locked"]
    messy.write_text("\n".join(lines) + "\n")
    first = tagdesk("classify", messy, out, "--model", model, "--json")
    assert first.code == 5
    assert [first.json[key] for key in ("read", "accepted", "rejected", "skipped")] == [5, 2, 2, 1]
    rejects = [json.loads(line) for line in Path(first.json["rejects"]).read_text().splitlines()]
    assert [(reject["line"], reject["code"]) for reject in rejects] == [(3, "empty_text"), (4, "ragged")]
    before = {row["id"]: row for row in csv.DictReader(out.read_text().splitlines())}
    lines[2:5] = ["2,where is my invoice", "3,parcel late"]
    messy.write_text("\n".join(lines) + "\n")
    assert tagdesk("classify", messy, out, "--model", model).code == 2
    assert tagdesk("classify", messy, out, "--model", model, "--force").code == 0
    after = {row["id"]: row for row in csv.DictReader(out.read_text().splitlines())}
    assert list(after) == ["1", "2", "3", "4"]
    for key, row in before.items():
        assert (after[key]["predicted_labels"], after[key]["decision"]) == (row["predicted_labels"], row["decision"])
    assert not Path(first.json["rejects"]).exists()
