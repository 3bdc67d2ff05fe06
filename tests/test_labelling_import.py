from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tiny
from tagdesk.errors import InputError, UsageError
from tagdesk.labelling import Waiting
from tagdesk.labelling.importing import Plan, carry_out, plan, read_file, same_text
from tagdesk.labelling.label_studio import configuration, write_configuration, write_tasks
from tagdesk.labelling.table import FIELDS, write_table
from tagdesk.review import Source
from tagdesk.store import Receipt, Selection, Store
from tagdesk.taxonomy import Label, Taxonomy
from test_labelling import ACCESS, BILLING, NOW, SHIPPING, case, found, one_of

KNOWN = (*tiny.LABELS, "A|B")
TEXTS = ("charged twice", '=1+1, "quoted"\nsecond line', "Rechnung für März: 20 € 🤷", "'tis fine; truly")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with four cases for which billing was suggested."""
    with Store.open(tmp_path / "tagdesk.db") as opened:
        opened.cases.add([one.case for one in waiting()])
        yield opened


def waiting() -> list[Waiting]:
    return [one_of(case(f"k{n}", text, BILLING)) for n, text in enumerate(TEXTS)]


def filled_in(path: Path, *verdicts: str, encoding: str = "utf-8", delimiter: str = ",", end: str = "\r\n") -> Path:
    """The table of the four cases, filled in and saved as a spreadsheet may do it."""
    write_table(path, waiting(), force=True)
    with path.open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    for row, verdict in zip(rows, verdicts, strict=False):
        row["new_labels"] = verdict
    with path.open("w", encoding=encoding, errors="replace", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0].keys(), delimiter=delimiter, lineterminator=end)
        writer.writeheader()
        writer.writerows({name: cell.replace("\n", end) for name, cell in row.items()} for row in rows)
    return path


def changed(path: Path, place: int, **cells: str) -> Path:
    """The table with other cells in one row; a row behind the last one is a copy of the first."""
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    rows += [dict(rows[0])] if place == len(rows) else []
    rows[place] |= cells
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(dict.fromkeys([*rows[0], *cells])), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def planned(store: Store, path: Path, reviewer: str | None = "ada", tenant: str | None = None) -> Plan:
    return plan(store, read_file(path, KNOWN), KNOWN, reviewer=reviewer, tenant=tenant, now=NOW)


def said(store: Store) -> dict[str, set[str]]:
    """What the cases are labelled with."""
    return {one.case.id: set(one.labels or ["?"]) for one in store.reviews.reviewed(Selection(None)) if one.reviews}


def tasks(*annotations: Sequence[dict[str, Any]], path: Path) -> Path:
    """An export of Label Studio: the tasks of the four cases with annotations."""
    write_tasks(path, waiting(), force=True)
    exported = json.loads(path.read_text(encoding="utf-8"))
    for number, (task, made) in enumerate(zip(exported, annotations, strict=False), start=101):
        task |= {"id": number, "annotations": list(made)}
    path.write_text(json.dumps(exported), encoding="utf-8")
    return path


def annotation(*labels: str, by: Any = 1, hour: int = 1, **more: Any) -> dict[str, Any]:
    choice = {"from_name": "labels", "to_name": "text", "type": "choices", "value": {"choices": list(labels)}}
    at = f"2026-05-02T{hour:02}:00:00.123456Z"
    return {"completed_by": by, "was_cancelled": False, "updated_at": at, "result": [choice]} | more


@pytest.mark.parametrize(
    ("encoding", "delimiter", "end"),
    [
        ("utf-8", ",", "\n"),
        ("utf-8-sig", ";", "\r\n"),
        ("cp1252", ";", "\r\n"),
        ("cp1252", ",", "\r"),
        ("utf-16", "\t", "\r\n"),
    ],
)
def test_a_table_comes_back_however_a_spreadsheet_saved_it(
    store: Store, tmp_path: Path, encoding: str, delimiter: str, end: str
) -> None:
    verdicts = ("suggested", "[]", f"{ACCESS}|{SHIPPING}", "")
    path = filled_in(tmp_path / "queue.csv", *verdicts, encoding=encoding, delimiter=delimiter, end=end)
    found = planned(store, path)
    assert found.problems == ()
    assert found.blank == 1
    assert carry_out(store, found) == {Receipt.ADDED: 3}
    assert said(store) == {"k0": {BILLING}, "k1": {"?"}, "k2": {ACCESS, SHIPPING}}


def test_a_table_is_safe_for_spreadsheets_and_marked_as_utf8(tmp_path: Path) -> None:
    write_table(tmp_path / "queue.csv", waiting())
    content = (tmp_path / "queue.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf" + ",".join(FIELDS).encode())
    with (tmp_path / "queue.csv").open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert rows[1]["text"].startswith("'=1+1")
    assert [row["new_labels"] for row in rows] == [""] * 4


def test_reviews_of_a_table_say_where_they_came_from(store: Store, tmp_path: Path) -> None:
    carry_out(store, planned(store, filled_in(tmp_path / "queue.csv", "suggested")))
    (review,) = store.reviews.newest(["k0"], tenant="shop")
    assert review is not None
    assert (review.reviewer, review.source, review.time, review.settles) == ("ada", Source.IMPORT, NOW, False)


def test_the_same_table_counts_once_also_when_it_was_saved_anew(store: Store, tmp_path: Path) -> None:
    first = filled_in(tmp_path / "queue.csv", "suggested", ACCESS)
    carry_out(store, planned(store, first))
    store.reviews.add([found("k1", "ada", SHIPPING)], tenant="shop")  # she has changed her mind since
    for path in (first, filled_in(tmp_path / "again.csv", "suggested", ACCESS, encoding="cp1252", delimiter=";")):
        again = planned(store, path)
        assert (again.reviews, again.repeated, again.problems) == ((), 2, ())
    assert said(store)["k1"] == {SHIPPING}
    later = planned(store, filled_in(tmp_path / "later.csv", "none", ACCESS))  # another table: she means it
    assert carry_out(store, later) == {Receipt.ADDED: 2}
    assert said(store) == {"k0": {"?"}, "k1": {ACCESS}}


def test_two_people_may_fill_in_the_same_table(store: Store, tmp_path: Path) -> None:
    path = filled_in(tmp_path / "queue.csv", "suggested")
    assert [carry_out(store, planned(store, path, who))[Receipt.ADDED] for who in ("ada", "bob", "ada")] == [1, 1, 0]


def test_a_table_may_name_the_reviewer_of_each_row(store: Store, tmp_path: Path) -> None:
    path = filled_in(tmp_path / "queue.csv", "suggested", "suggested")
    changed(path, 0, reviewer="bob")
    reviews = [review for _tenant, review in planned(store, path).reviews]
    assert [review.reviewer for review in reviews] == ["bob", "ada"]
    with pytest.raises(UsageError, match="--reviewer"):
        planned(store, path, None)


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        ({"new_labels": "Weather"}, "unknown_label", "no label of the model"),
        ({"new_labels": "Biling Issue"}, "unknown_label", "Did you mean 'Billing Issue'"),
        ({"new_labels": "['A'"}, "bad_labels", "not closed"),
        ({"case": "k77"}, "unknown_case", "'k77'"),
        ({"case": "x" * 300}, "unknown_case", "no case"),
        ({"case": ""}, "unknown_case", "no case"),
        ({"case": "k1"}, "other_text", "not that of the case"),
        ({"text": "charged once"}, "other_text", "Restore it"),
        ({"suggested_labels": ACCESS}, "other_mark", "new_labels"),
        ({"mark": "m000000000000"}, "other_mark", "mark"),
        ({"mark": ""}, "empty_text", "empty"),
        ({"reviewer": "x" * 300}, "bad_reviewer", "200"),
    ],
)
def test_a_bad_row_is_told_with_its_line(
    store: Store, tmp_path: Path, change: dict[str, str], code: str, told: str
) -> None:
    path = filled_in(tmp_path / "queue.csv", "suggested", "suggested", "suggested", "suggested")
    changed(path, 0, **change)
    result = planned(store, path)
    assert [(problem.where, problem.code) for problem in result.problems] == [("line 2", code)]
    assert told in result.problems[0].sentence
    assert TEXTS[0] not in result.problems[0].sentence
    assert len(result.reviews) == 3


def test_a_label_that_only_was_suggested_is_not_known(store: Store, tmp_path: Path) -> None:
    path = filled_in(tmp_path / "queue.csv", "suggested")
    result = plan(store, read_file(path, [ACCESS]), [ACCESS], reviewer="ada", tenant=None, now=NOW)
    assert [problem.code for problem in result.problems] == ["unknown_label"]


def test_two_verdicts_of_one_person_are_both_refused(store: Store, tmp_path: Path) -> None:
    path = filled_in(tmp_path / "queue.csv", "suggested", "suggested")
    changed(path, 4, new_labels=ACCESS)
    result = planned(store, path)
    assert {problem.code for problem in result.problems} == {"two_verdicts"}
    assert [review.case for _tenant, review in result.reviews] == ["k1"]
    twice = changed(path, 4, new_labels="suggested")
    assert planned(store, twice).problems == ()
    assert len(planned(store, twice).reviews) == 2


def test_a_row_that_cannot_be_read_is_told(store: Store, tmp_path: Path) -> None:
    path = filled_in(tmp_path / "queue.csv", "suggested")
    with path.open("a", encoding="utf-8") as handle:
        handle.write("k1,too few\n")
    (problem,) = planned(store, path).problems
    assert problem.code == "ragged"


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "PK\x03\x04", "case,new_labels\n"])
def test_a_file_that_is_no_table_is_refused(store: Store, tmp_path: Path, content: str) -> None:
    (tmp_path / "queue.csv").write_text(content)
    with pytest.raises(InputError):
        planned(store, tmp_path / "queue.csv")


def test_what_was_erased_or_forgotten_is_told(store: Store, tmp_path: Path) -> None:
    path = filled_in(tmp_path / "queue.csv", "suggested", "suggested")
    store.erase(Selection("shop", case="k0"), who="ada", now=NOW)
    store.retain(0, who="ada", now=NOW + timedelta(days=1))
    result = planned(store, path)
    assert [problem.code for problem in result.problems] == ["unknown_case", "forgotten"]


def test_another_tenants_cases_are_unknown(store: Store, tmp_path: Path) -> None:
    path = filled_in(tmp_path / "queue.csv", "suggested")
    assert planned(store, path, tenant="bank").problems[0].code == "unknown_case"
    assert len(planned(store, path, tenant="shop").reviews) == 1


@pytest.mark.parametrize(
    ("cell", "text", "same"),
    [
        ("a  b\r\nc", "a b\nc", True),
        ("f?r M?rz", "für März", True),
        ("fur Marz", "für März", True),
        ("für April", "für März 20", False),
        ("refund me", "return me", False),
        ("a b", "a b c", False),
        ("w " * 17_000 + "ha", "w " * 17_000 + "half more", True),
        ("w " * 17_000 + "ha", "x " * 17_000 + "half more", False),
    ],
)
def test_a_text_is_known_again_and_a_changed_one_is_not(cell: str, text: str, *, same: bool) -> None:
    assert same_text(cell, text) is same


def test_tasks_carry_the_suggestion_and_the_text(tmp_path: Path) -> None:
    write_tasks(tmp_path / "tasks.json", [*waiting(), one_of(case("k9", "nothing fits"))])
    first, *_, last = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    assert (first["data"]["case"], first["data"]["text"]) == ("k0", TEXTS[0])
    (prediction,) = first["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("m1", 0.98)
    assert prediction["result"] == [
        {"from_name": "labels", "to_name": "text", "type": "choices", "value": {"choices": [BILLING]}}
    ]
    assert (last["predictions"][0]["result"], last["predictions"][0]["score"]) == ([], 0.0)


def test_odd_label_names_survive_the_configuration(tmp_path: Path) -> None:
    names = ["A & B", 'say "hi"', "it's", "\"'<both>", "$price", "=1+1", "长标签", "x" * 200]
    taxonomy = Taxonomy(tuple(Label(name, description=f"About\n{name}\x01") for name in names))
    write_configuration(tmp_path / "labels.xml", taxonomy)
    view = ET.fromstring((tmp_path / "labels.xml").read_text(encoding="utf-8"))  # noqa: S314 - our own
    control = view.find("Choices")
    assert control is not None
    assert [choice.get("value") for choice in control] == names
    assert [choice.get("alias") for choice in control] == [None] * 4 + ["$price"] + [None] * 3
    assert control[0].get("hint") == "About A & B"
    with pytest.raises(UsageError, match="XML"):
        configuration(Taxonomy.of(["bad\uffff"]))


def test_an_export_of_several_people_is_taken_in(store: Store, tmp_path: Path) -> None:
    path = tasks(
        [annotation(ACCESS, by={"id": 3, "email": "bob@example.com"}), annotation(BILLING, by=7)],
        [annotation(SHIPPING, was_cancelled=True)],
        [annotation(result=[])],
        path=tmp_path / "export.json",
    )
    result = planned(store, path, None)
    assert result.problems == ()
    assert carry_out(store, result) == {Receipt.ADDED: 3}
    first, second, third = store.reviews.of_cases(["k0", "k1", "k2"], tenant="shop")
    assert [(review.reviewer, set(review.labels)) for review in first] == [
        ("bob@example.com", {ACCESS}),
        ("label-studio-7", {BILLING}),
    ]
    assert first[0].time == datetime(2026, 5, 2, 1, 0, 0, 123456, tzinfo=UTC)
    assert second == ()
    assert [set(review.labels) for review in third] == [set()]
    assert result.blank == 2


def test_the_last_word_of_an_annotator_counts(store: Store, tmp_path: Path) -> None:
    path = tasks([annotation(ACCESS, hour=9), annotation(BILLING, hour=3)], path=tmp_path / "export.json")
    carry_out(store, planned(store, path, None))
    assert said(store) == {"k0": {ACCESS}}


def test_an_export_counts_once_and_a_later_one_adds_what_is_new(store: Store, tmp_path: Path) -> None:
    path = tasks([annotation(ACCESS)], [annotation(BILLING)], path=tmp_path / "export.json")
    assert carry_out(store, planned(store, path, None)) == {Receipt.ADDED: 2}
    assert planned(store, path, None).repeated == 2
    later = tasks([annotation(ACCESS)], [annotation(SHIPPING, hour=5)], path=path)
    result = planned(store, later, None)
    assert (len(result.reviews), result.repeated) == (1, 1)
    carry_out(store, result)
    assert said(store)["k1"] == {SHIPPING}


def test_what_is_older_than_the_last_word_on_record_is_left_out(store: Store, tmp_path: Path) -> None:
    path = tasks([annotation(ACCESS)], [annotation(ACCESS)], path=tmp_path / "export.json")
    late = datetime(2026, 5, 3, tzinfo=UTC)
    store.reviews.add([replace(found("k0", "label-studio-1", BILLING), time=late)], tenant="shop")
    store.reviews.add([replace(found("k1", "cyd", BILLING, settles=True), time=late)], tenant="shop")
    result = planned(store, path, None)
    assert (result.reviews, result.outdated) == ((), 2)


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({"data": {"text": TEXTS[0]}}, "unknown_case"),
        ({"data": {"text": "other", "case": "k0"}}, "other_text"),
        ({"data": None}, "unknown_case"),
        ({"annotations": 7}, "bad_export"),
        ({"annotations": [7]}, "bad_export"),
        ({"annotations": [annotation("Weather")]}, "unknown_label"),
        ({"annotations": [annotation(updated_at="yesterday")]}, "bad_time"),
        ({"annotations": [annotation(updated_at="0001-01-01T00:00:00+14:00")]}, "bad_time"),
        ({"annotations": [annotation(result=[7])]}, "bad_export"),
        ({"annotations": [annotation(result=[{"type": "choices", "from_name": "mood"}])]}, "bad_export"),
        ({"annotations": [annotation(result=[{"type": "choices", "from_name": "labels"}])]}, "bad_labels"),
    ],
)
def test_a_bad_task_is_told_with_its_number(store: Store, tmp_path: Path, broken: dict[str, Any], code: str) -> None:
    path = tasks([annotation(ACCESS)], [annotation(ACCESS)], path=tmp_path / "export.json")
    exported = json.loads(path.read_text())
    exported[0] |= broken
    path.write_text(json.dumps(exported))
    result = planned(store, path, None)
    assert [(problem.where, problem.code) for problem in result.problems] == [("task 101", code)]
    assert [review.case for _tenant, review in result.reviews] == ["k1"]


@pytest.mark.parametrize("by", [None, "", True, [], {}, {"email": ""}])
def test_an_annotation_of_nobody_needs_a_reviewer(store: Store, tmp_path: Path, by: Any) -> None:
    path = tasks([annotation(ACCESS, by=by)], path=tmp_path / "export.json")
    with pytest.raises(UsageError, match="--reviewer"):
        planned(store, path, None)
    assert planned(store, path, "ada").reviews[0][1].reviewer == "ada"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"7", b"[1]", b"\xff\xfe", b'[{"id": 1, "text": "x", "labels": "A"}]', b"[" * 100_000]
)
def test_a_file_that_is_no_export_is_refused(store: Store, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "export.json").write_bytes(content)
    with pytest.raises(InputError, match="JSON"):
        planned(store, tmp_path / "export.json")


def test_a_folder_is_no_export(store: Store, tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match="plain file"):
        planned(store, tmp_path / "folder.json")
