from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from tagdesk.audit import audit, corrected
from tagdesk.cli import run
from tagdesk.dataset import read_tickets, write_tickets
from tagdesk.errors import InputError
from tagdesk.scorers import Recipe
from tagdesk.ticket import Ticket

LINEAR = Recipe(kind="linear", max_features=500, folds=4)


@pytest.fixture(scope="module")
def spoiled() -> list[Ticket]:
    """120 tickets, of which the first parcel is labelled as a bill."""
    found = tiny.tickets(120, seed=3)
    place = next(i for i, ticket in enumerate(found) if ticket.labels == {"Shipping Concern"})
    found[place] = replace(found[place], id="wrong", labels=frozenset({"Billing Issue"}))
    return found


@pytest.fixture
def file(spoiled: list[Ticket], tmp_path: Path) -> Path:
    write_tickets(tmp_path / "tickets.csv", spoiled)
    return tmp_path / "tickets.csv"


def test_a_wrong_label_is_found_with_the_right_one(spoiled: list[Ticket]) -> None:
    found = audit(spoiled, LINEAR)
    by_id = {spoiled[finding.place].id: finding for finding in found.findings}
    assert by_id["wrong"].suggested == {"Shipping Concern"}
    assert "Billing Issue may be wrong" in by_id["wrong"].reasons
    assert [finding.doubt for finding in found.findings] == sorted((f.doubt for f in found.findings), reverse=True)


def test_near_duplicates_with_other_labels_are_found(spoiled: list[Ticket]) -> None:
    text = "zebra zebra quokka wombat numbat bilby"
    twins = [Ticket("one", text, frozenset({"Billing Issue"})), Ticket("two", f"{text}!", frozenset())]
    found = audit([*spoiled, *twins], LINEAR)
    reasons = {finding.place: finding.reasons for finding in found.findings}
    assert any("nearly the same text as two" in reason for reason in reasons[len(spoiled)])
    assert any("nearly the same text as one" in reason for reason in reasons[len(spoiled) + 1])


def test_unlabelled_tickets_cannot_be_audited(spoiled: list[Ticket]) -> None:
    with pytest.raises(InputError, match="labelled"):
        audit([*spoiled, Ticket("x", "who knows")], LINEAR)


@pytest.mark.parametrize(
    ("verdict", "labels"),
    [("", {"A"}), ("  ", {"A"}), ("suggested", {"B"}), ("NONE", set()), ("A|B", {"A", "B"}), ('["C|D"]', {"C|D"})],
)
def test_a_verdict_is_read_as_it_is_meant(verdict: str, labels: set[str]) -> None:
    assert corrected(frozenset({"A"}), frozenset({"B"}), verdict) == labels


def test_a_verdict_that_cannot_be_read_says_what_is_expected() -> None:
    with pytest.raises(InputError, match="joined by"):
        corrected(frozenset(), frozenset(), "['A'")


def test_a_table_goes_out_and_comes_back(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, fixed = tmp_path / "found.csv", tmp_path / "fixed.csv"
    asked = ["audit", str(file), "--recipe", "linear", "--set", "max_features=500"]
    assert run([*asked, "--out", str(table), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert "wrong" in {finding["id"] for finding in answer["findings"]}
    with table.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    for row in rows:
        row["new_labels"] = "suggested" if row["id"] == "wrong" else ""
    with table.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    assert run(["audit", str(file), "--apply", str(table), "--out", str(fixed), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] == 1
    before, after = ({t.id: (t.text, t.labels) for t in read_tickets(path).tickets} for path in (file, fixed))
    assert after.pop("wrong")[1] == {"Shipping Concern"}
    before.pop("wrong")
    assert before == after


def test_a_table_of_another_file_is_refused(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "found.csv"
    head = "row,id,labels,suggested_labels,new_labels,doubt,reason,text\n"
    for line, said in (
        ("1,nobody,A,B,suggested,.9,why,text", "has id"),
        ("9999,1,A,B,none,.9,why,text", "no row 9999"),
    ):
        table.write_text(f"{head}{line}\n", encoding="utf-8")
        assert run(["audit", str(file), "--apply", str(table), "--out", str(tmp_path / "fixed.csv")]) == 3
        assert said in capsys.readouterr().err
        assert not (tmp_path / "fixed.csv").exists()
    table.write_text("id,text\n1,hello\n", encoding="utf-8")
    assert run(["audit", str(file), "--apply", str(table), "--out", str(tmp_path / "fixed.csv")]) == 3
    assert "suggested_labels" in capsys.readouterr().err


def test_apply_needs_a_place_to_write(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", str(file), "--apply", str(file)]) == 2
    assert "--out" in capsys.readouterr().err
