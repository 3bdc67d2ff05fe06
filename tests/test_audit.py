from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from tagdesk.audit import audit
from tagdesk.audit.table import corrected, mark_of
from tagdesk.cli import run
from tagdesk.dataset import read_tickets, write_tickets
from tagdesk.errors import InputError
from tagdesk.scorers import Recipe
from tagdesk.ticket import Ticket

HEAD = "row,id,labels,suggested_labels,new_labels,doubt,reason,text,mark\n"
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
    [
        ("", {"A"}),
        ("  ", {"A"}),
        ("Suggested ", {"B"}),
        ("NONE", set()),
        ("[]", set()),
        ("A|B", {"A", "B"}),
        ('["C|D"]', {"C|D"}),
    ],
)
def test_a_verdict_is_read_as_it_is_meant(verdict: str, labels: set[str]) -> None:
    assert corrected(frozenset({"A"}), frozenset({"B"}), verdict, ["A", "C|D"]) == labels


def test_a_verdict_that_cannot_be_read_says_what_is_expected() -> None:
    with pytest.raises(InputError, match="joined by"):
        corrected(frozenset(), frozenset(), "['A'", [])


@pytest.mark.parametrize("verdict", ["yes", "None.", "Biling Issue", "suggested|none", "A|none"])
def test_a_mistyped_verdict_makes_no_new_category(verdict: str) -> None:
    with pytest.raises(InputError, match="no label of this file"):
        corrected(frozenset({"A"}), frozenset({"B"}), verdict, ["A", "B", "Billing Issue"])


@pytest.mark.parametrize(("verdict", "remedy"), [("None", '["NONE"]'), ("suggested", "the suggested labels")])
def test_a_verdict_that_is_also_a_label_is_refused(verdict: str, remedy: str) -> None:
    with pytest.raises(InputError, match=re.escape(remedy)):
        corrected(frozenset({"A"}), frozenset({"B"}), verdict, ["A", "B", "NONE", "Suggested"])
    assert corrected(frozenset(), frozenset(), '["NONE"]', ["NONE"]) == {"NONE"}


def test_labels_that_are_too_rare_to_judge_are_listed_and_not_suspected(spoiled: list[Ticket]) -> None:
    rare = [replace(t, labels=(t.labels or frozenset()) | {f"Rare {i}"}) for i, t in enumerate(spoiled[:12])]
    found = audit([*rare, *spoiled[12:]], LINEAR)
    assert set(found.rare) == {f"Rare {i}" for i in range(12)}
    assert not any("Rare" in reason for finding in found.findings for reason in finding.reasons)
    assert not any("Rare" in pair.first + pair.second for pair in found.overlaps)


def test_a_table_goes_out_and_comes_back(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, fixed = tmp_path / "found.csv", tmp_path / "fixed.csv"
    asked = ["audit", str(file), "--recipe", "linear", "--set", "max_features=500"]
    assert run([*asked, "--out", str(table), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert "wrong" in {finding["id"] for finding in answer["findings"]}
    assert table.read_bytes().startswith(b"\xef\xbb\xbf")
    with table.open(encoding="utf-8-sig", newline="") as handle:
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
    for line, said in (
        ("1,nobody,A,B,suggested,.9,why,text,m0123456789ab", "another ticket"),
        ("9999,1,A,B,none,.9,why,text,m0123456789ab", "no row 9999"),
    ):
        table.write_text(f"{HEAD}{line}\n", encoding="utf-8")
        assert run(["audit", str(file), "--apply", str(table), "--out", str(tmp_path / "fixed.csv")]) == 3
        assert said in capsys.readouterr().err
        assert not (tmp_path / "fixed.csv").exists()
    table.write_text("id,text\n1,hello\n", encoding="utf-8")
    assert run(["audit", str(file), "--apply", str(table), "--out", str(tmp_path / "fixed.csv")]) == 3
    assert "no column 'mark'" in capsys.readouterr().err


def test_apply_needs_a_place_to_write(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", str(file), "--apply", str(file)]) == 2
    assert "--out" in capsys.readouterr().err


def small(tmp_path: Path, *rows: str, head: str = "text,labels") -> tuple[Path, Path]:
    """A file of tickets, and a table whose verdict for its first row is `suggested`."""
    file, table = tmp_path / "small.csv", tmp_path / "table.csv"
    file.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    mark = mark_of(Ticket("1", "first ticket"), ["A"], ["A", "B"])
    table.write_text(f"{HEAD}1,1,A,A|B,suggested,.9,why,first ticket,{mark}\n", encoding="utf-8")
    return file, table


def applied(file: Path, table: Path, out: Path, *more: str) -> int:
    return run(["audit", str(file), "--apply", str(table), "--out", str(out), *more])


def test_a_row_that_was_put_in_since_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, table = small(tmp_path, "a new one,B", "first ticket,A")
    assert applied(file, table, tmp_path / "out.csv") == 3
    assert "another ticket" in capsys.readouterr().err


def test_labels_that_changed_since_are_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, table = small(tmp_path, "first ticket,B", "second,A")
    assert applied(file, table, tmp_path / "out.csv") == 3
    assert "since the audit" in capsys.readouterr().err


def test_a_table_may_be_applied_twice(tmp_path: Path) -> None:
    file, table = small(tmp_path, "first ticket,A", "second,A")
    assert applied(file, table, tmp_path / "once.csv") == 0
    assert applied(tmp_path / "once.csv", table, tmp_path / "twice.csv") == 0
    assert (tmp_path / "once.csv").read_bytes() == (tmp_path / "twice.csv").read_bytes()


def test_rows_without_a_verdict_stay_as_they_were_written(tmp_path: Path) -> None:
    file, table = small(tmp_path, "first ticket,A", "second,B|A", "third,")
    assert applied(file, table, tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "text,labels",
        "first ticket,A|B",
        "second,B|A",
        "third,",
    ]
    assert applied(file, table, tmp_path / "out.jsonl") == 0
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[1])["labels"] == ["A", "B"]


def test_a_verdict_that_cannot_be_read_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, table = small(tmp_path, "first ticket,A", "second,B")
    table.write_text(table.read_text(encoding="utf-8").replace(",suggested,", ",b,"), encoding="utf-8")
    assert applied(file, table, tmp_path / "out.csv") == 3
    assert "table.csv, line 2: new_labels 'b'" in capsys.readouterr().err.replace("\n", " ")


def test_the_column_that_was_read_is_the_one_that_is_written(tmp_path: Path) -> None:
    file, table = small(tmp_path, "first ticket,mine,A", "second,mine,B", head="text,categories,labels")
    assert applied(file, table, tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == "first ticket,mine,A|B"
    file, table = small(tmp_path, "first ticket,A", "second,B", head="text,Tags")
    assert applied(file, table, tmp_path / "out2.csv", "--labels-column", "tags") == 0
    assert (tmp_path / "out2.csv").read_text().splitlines()[:2] == ["text,Tags", "first ticket,A|B"]


def test_no_verdict_is_lost_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, table = small(tmp_path, "first ticket,A", "second,B")
    whole = table.read_text(encoding="utf-8")
    for spoiled, said in (
        (re.sub(",m[0-9a-f]{12}\n", ",\n", whole), "cannot be read"),
        (whole + whole.splitlines()[1].replace("suggested", "none") + "\n", "another verdict"),
        (whole.replace("1,1,A", "one,1,A"), "row number"),
        (whole.replace("A|B", "A|C"), "another ticket"),
    ):
        table.write_text(spoiled, encoding="utf-8")
        assert applied(file, table, tmp_path / "out.csv") == 3
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(";", "utf-8-sig"), ("\t", "utf-8"), (";", "cp1252"), (",", "cp1252")]
)
def test_a_table_that_a_spreadsheet_saved_is_read(delimiter: str, encoding: str, tmp_path: Path) -> None:
    file, table = small(tmp_path, "first ticket,A", "second,B")
    content = table.read_text(encoding="utf-8").replace("why", "wäre").replace("\n1,1,", "\n1.0,1E+00,")
    content = content.replace("first ticket", "first? tick") + ",,,,,,,,\n"
    table.write_text(content.replace(",", delimiter), encoding=encoding)
    assert applied(file, table, tmp_path / "out.csv") == 0
    assert "first ticket,A|B" in (tmp_path / "out.csv").read_text()


def test_tickets_that_nobody_labelled_stay_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, table = small(tmp_path)
    file = tmp_path / "some.jsonl"
    file.write_text('{"text": "first ticket", "labels": ["A"]}\n{"text": "who knows", "labels": null}\n')
    assert applied(file, table, tmp_path / "out.jsonl") == 0
    assert [ticket.labels for ticket in read_tickets(tmp_path / "out.jsonl").tickets] == [{"A", "B"}, None]
    assert applied(file, table, tmp_path / "out.csv") == 2
    assert "unlabelled" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_corrected_tickets_are_of_one_kind_whatever_the_file(kind: str, tmp_path: Path) -> None:
    file, table = small(tmp_path, "first ticket,A", "second,B", '"",B')
    assert applied(file, table, tmp_path / f"out.{kind}") == 5
    assert [ticket.labels for ticket in read_tickets(tmp_path / f"out.{kind}").tickets] == [{"A", "B"}, {"B"}]
    assert (tmp_path / f"out.{kind}.rejects.jsonl").exists()


@pytest.mark.parametrize(("out", "code"), [("out.xyz", 3), ("nowhere\0/out.csv", 2)])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    out: str, code: int, file: Path, tmp_path: Path
) -> None:
    assert run(["audit", str(file), "--out", str(tmp_path / out)]) == code


def test_apply_trains_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", str(file), "--apply", str(file), "--out", "x.csv", "--recipe", "linear"]) == 2
    assert "trains nothing" in capsys.readouterr().err


def test_a_file_without_labels_says_where_they_may_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tags.csv").write_text("text,tags\nhello,A\n", encoding="utf-8")
    assert run(["audit", str(tmp_path / "tags.csv"), "--out", str(tmp_path / "out.csv")]) == 3
    assert "--labels-column" in capsys.readouterr().err
