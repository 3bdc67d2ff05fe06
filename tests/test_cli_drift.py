"""`tagdesk drift`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from command import nothing_new_in, refusal, tagdesk
from tagdesk.cli import commands
from tagdesk.cli.drifting import MOST_ROWS, SHOWN
from tagdesk.model import Model
from tagdesk.ticket import Ticket


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command, also where the table of commands does not have it yet."""
    monkeypatch.setitem(commands._HOMES, "drift", ("drifting", ()))


@pytest.fixture(scope="session")
def model(saved: Path, models: dict[str, Model]) -> str:
    return str(saved / models["probe"].id)  # has a tiny encoder of its own


def traffic(count: int = 120, seed: int = 0, only: str | None = None) -> list[Ticket]:
    """Tickets, no two alike; half of them of one label where it is given."""
    made = tiny.tickets(4 * count, seed=seed)
    if only is None:
        return made[:count]
    its = [ticket for ticket in made if ticket.labels == frozenset({only})]
    rest = [ticket for ticket in made if ticket.labels != frozenset({only})]
    return [*its[: count // 2], *rest[: count - count // 2]]


def written(path: Path, tickets: Sequence[Ticket], *, labels: bool = False) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["text", "labels"] if labels else ["text"])
        for ticket in tickets:
            table.writerow([ticket.text, "|".join(sorted(ticket.labels or ()))] if labels else [ticket.text])
    return path


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return written(tmp_path / "before.csv", traffic())


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    return written(tmp_path / "changed.csv", traffic(seed=1, only="Billing Issue"))


def test_the_same_traffic_has_not_drifted(before: Path, tmp_path: Path, model: str) -> None:
    answer = tagdesk("drift", before, written(tmp_path / "now.csv", traffic(seed=1)), "--model", model)
    assert answer.code == 0
    assert answer.out.startswith("No sign of drift in ")
    assert "would have been seen." in answer.out.splitlines()[0]
    assert "rate of 'Billing Issue'" in answer.out


def test_a_label_that_is_given_oftener_is_said_first(before: Path, changed: Path, model: str) -> None:
    answer = tagdesk("drift", before, changed, "--model", model)
    assert answer.code == 0
    assert answer.out.startswith("Drifted: 'Billing Issue' is given to ")
    assert "Not tested: " in answer.out


def test_with_fail_the_exit_code_tells_the_verdicts_apart(
    before: Path, changed: Path, tmp_path: Path, model: str
) -> None:
    few = written(tmp_path / "few.csv", traffic(3))
    same = written(tmp_path / "now.csv", traffic(seed=1))
    codes = [tagdesk("drift", before, now, "--model", model, "--fail").code for now in (same, changed, few)]
    assert codes == [0, 6, 7]
    assert tagdesk("drift", before, few, "--model", model).code == 0


def test_too_few_tickets_are_told_before_anything_is_scored(
    before: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagdesk.cli.drifting.judge_tickets", lambda *_, **__: pytest.fail("scored"))
    empty = tmp_path / "empty.csv"
    empty.write_text("text\n")
    for now in (empty, written(tmp_path / "three.csv", traffic(3)), written(tmp_path / "same.csv", traffic(1) * 500)):
        answer = tagdesk("drift", before, now, "--model", model, "--json")
        assert (answer.code, answer.json["verdict"], answer.json["shifts"]) == (0, "too few", [])
        assert "are missing" in answer.json["sentence"]
    assert tagdesk("drift", empty, before, "--model", model).out.startswith("No verdict: ")


def test_json_holds_all_that_was_tested(before: Path, changed: Path, model: str, models: dict[str, Model]) -> None:
    found = tagdesk("drift", before, changed, "--model", model, "--json").json
    assert (found["verdict"], found["model"], found["reference"]) == ("drifted", models["probe"].id, "before.csv")
    kinds = {shift["kind"] for shift in found["shifts"]}
    assert {"label_rate", "labels_per_ticket", "no_label", "score", "length", "meaning"} <= kinds
    assert {left["kind"] for left in found["left_out"]} >= {"calibration", "slope", "out_of_scope"}


def test_labels_of_people_are_held_against_the_scores(tmp_path: Path, model: str) -> None:
    before = written(tmp_path / "before.csv", traffic(150), labels=True)
    wrong = [replace(ticket, labels=frozenset({"Account Access"})) for ticket in traffic(150, seed=1)]
    half = [*wrong[:75], *traffic(150, seed=1)[75:]]
    found = tagdesk("drift", before, written(tmp_path / "now.csv", half, labels=True), "-m", model, "--json").json
    drifted = {(shift["kind"], shift["label"]) for shift in found["shifts"] if shift["verdict"] == "drifted"}
    assert ("calibration", "Account Access") in drifted


def test_labels_that_the_model_does_not_know_are_noted_and_not_looked_at(
    before: Path, tmp_path: Path, model: str
) -> None:
    strange = [
        replace(ticket, labels=frozenset({f"New {place}\x1b[2J"})) for place, ticket in enumerate(traffic(seed=1))
    ]
    now = written(tmp_path / "now.csv", strange, labels=True)
    answer = tagdesk("drift", before, now, "--model", model, "--json")
    assert answer.code == 0
    assert "does not know" in answer.err
    assert "\x1b" not in answer.err
    assert answer.err.count("New ") == SHOWN
    assert "calibration" in {left["kind"] for left in answer.json["left_out"]}


@pytest.mark.parametrize("kind", ["linear", "probe", "onnx"])
def test_every_kind_of_model_is_compared_with_embeddings(
    kind: str, before: Path, changed: Path, saved: Path, models: dict[str, Model]
) -> None:
    found = tagdesk("drift", before, changed, "--model", models[kind].id, "--models", saved, "--json").json
    assert "meaning" in {shift["kind"] for shift in found["shifts"]}


def test_the_report_lies_in_its_folder(before: Path, changed: Path, tmp_path: Path, model: str) -> None:
    folder = tmp_path / "new" / "report"
    answer = tagdesk("drift", before, changed, "--model", model, "--out", folder)
    assert sorted(path.name for path in folder.iterdir()) == ["changes.png", "drift.json", "drift.md", "rates.png"]
    assert (folder / "drift.md").read_text().splitlines()[2].startswith("Drifted: ")
    assert str(folder / "drift.md") in answer.err.replace("\n", "")


def test_the_smallest_change_and_the_false_alarms_are_the_users(before: Path, changed: Path, model: str) -> None:
    found = tagdesk("drift", before, changed, "-m", model, "--smallest", "0.9", "--json").json
    assert {shift["smallest"] for shift in found["shifts"] if shift["kind"] == "label_rate"} == {0.9}
    assert "label_rate" not in {shift["kind"] for shift in found["shifts"] if shift["verdict"] == "drifted"}
    assert tagdesk("drift", before, changed, "-m", model, "--false-alarms", "0.000001").out.startswith("No sign")


def test_the_same_seed_gives_the_same_answer(before: Path, changed: Path, model: str) -> None:
    once, again = (tagdesk("drift", before, changed, "-m", model, "--json", "--seed", "3").out for _ in range(2))
    assert once == again


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--false-alarms", "2"], "false_alarms"),
        (["--false-alarms", "nan"], "false_alarms"),
        (["--smallest", "-1"], "points"),
        (["--fewest", "3"], "fewest"),
        (["--threshold", "2"], "Threshold"),
        (["--tier", "quick"], "quick"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    arguments: list[str], says: str, before: Path, tmp_path: Path, model: str
) -> None:
    with nothing_new_in(tmp_path):
        assert says in refusal(2, "drift", before, before, "--model", model, *arguments)


def test_a_file_that_is_not_there_or_a_report_that_cannot_be_written_is_refused(
    before: Path, tmp_path: Path, model: str
) -> None:
    refusal(3, "drift", before, tmp_path / "none.csv", "--model", model)
    refusal(2, "drift", before, before, "--model", model, "--out", before / "report")


def test_rejected_rows_are_told_and_end_with_5_unless_the_verdict_has_a_code(
    before: Path, changed: Path, model: str
) -> None:
    for path in (before, changed):
        with path.open("a", encoding="utf-8") as file:
            file.write('"  "\n')
    answer = tagdesk("drift", before, changed, "--model", model)
    assert answer.code == 5
    assert "rejected" in answer.err
    assert tagdesk("drift", before, changed, "--model", model, "--fail").code == 6


def test_a_long_table_ends_with_how_many_more_were_tested(
    before: Path, changed: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagdesk.cli.drifting.MOST_ROWS", 2)
    answer = tagdesk("drift", before, changed, "--model", model)
    assert "more were tested: --out or --json tells all." in answer.out
    assert answer.out.count("\n│") < 6  # two rows, of which one may be broken
    assert MOST_ROWS > 20
