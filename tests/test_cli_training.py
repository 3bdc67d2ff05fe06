"""`tagdesk train`, `evaluate`, `check` and `split`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import tiny
from command import nothing_new_in, refusal, tagdesk
from tagdesk.dataset import near_duplicate_groups, read_tickets, write_tickets
from tagdesk.model import Model, list_models
from tagdesk.text import clean
from tagdesk.ticket import Ticket

FIGURES = {
    *("n", "exact_match", "hamming_loss", "f1_micro", "f1_macro", "f1_weighted", "precision_weighted"),
    *("recall_weighted", "precision_micro", "recall_micro", "hit_at_1", "no_label_rate", "ece", "model", "per_label"),
}
LABEL_FIGURES = {"precision", "recall", "f1", "support", "average_precision", "ece"}
LINEAR = ("--recipe", "linear", "--set", "max_features=500", "--set", "folds=3")


@pytest.fixture
def file(tmp_path: Path, tickets: list[Ticket]) -> Path:
    write_tickets(tmp_path / "in.csv", tickets)
    return tmp_path / "in.csv"


def walk(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [found for inner in value.values() for found in walk(inner)]
    return [found for inner in value for found in walk(inner)] if isinstance(value, list) else [value]


def test_a_model_is_trained_reported_and_used(file: Path, encoder: Path, tmp_path: Path) -> None:
    out = tmp_path / "models"
    answer = tagdesk("train", file, "--out", out, "--set", f"encoder={encoder}", "--json")
    assert (answer.code, answer.err) == (0, "")
    found = answer.json
    folder = out / found["model"]
    assert found["path"] == str(folder)
    assert sorted(found["names"]) == sorted(tiny.LABELS)
    assert found["measured_on"] == "out of fold"
    assert all(math.isfinite(value) for value in walk(found) if isinstance(value, float))
    assert Path(found["report"]).read_text(encoding="utf-8").startswith("# What the model is worth")
    assert sorted(path.name for path in out.iterdir()) == [folder.name, f"{folder.name}.report"]
    assert tagdesk("predict", "card charged twice", "--json", "--model", folder).json[0]["labels"] == ["Billing Issue"]


def test_labels_that_are_spelled_in_two_ways_are_told_before_training(tickets: list[Ticket], tmp_path: Path) -> None:
    odd = Ticket("odd", "card charged again and again", frozenset({"billing issue"}))
    write_tickets(tmp_path / "in.csv", [*tickets, odd])
    answer = tagdesk("train", tmp_path / "in.csv", "--out", tmp_path / "m", *LINEAR)
    assert answer.code == 0
    assert "warning: Labels that differ in case" in answer.err
    assert "'billing issue'" in answer.err


@pytest.mark.parametrize(
    ("labelled", "silent", "said"),
    [
        (60, 0, "needs 10 tickets without a label"),
        (24, 12, "learned; refuses no ticket"),
        (60, 12, "learned\n"),
    ],
)
def test_what_was_learned_of_none_of_these_is_said(
    labelled: int, silent: int, said: str, tickets: list[Ticket], tmp_path: Path
) -> None:
    chatter = [Ticket(f"n{n}", f"you and today {'ok ' * n}", frozenset()) for n in range(silent)]
    write_tickets(tmp_path / "in.csv", [*tickets[:labelled], *chatter])
    answer = tagdesk("train", tmp_path / "in.csv", "--out", tmp_path / "m", *LINEAR)
    line = next(line for line in answer.out.splitlines(keepends=True) if line.startswith("out of scope"))
    assert said in line


def test_a_person_reads_figures_and_what_to_do_next(file: Path, tmp_path: Path) -> None:
    answer = tagdesk("train", file, "--out", tmp_path / "m", *LINEAR)
    assert answer.code == 0
    [model] = list_models(tmp_path / "m")
    assert f"tagdesk predict --model {tmp_path / 'm' / model.id}" in answer.out.replace("\n", "")
    for words in ("Measured on 60 labelled tickets", "F1 macro", "Billing Issue", "out of fold"):
        assert words in answer.out


def test_the_same_file_and_seed_give_the_same_id(file: Path, tmp_path: Path) -> None:
    ids = [
        tagdesk("train", file, "--out", tmp_path / name, *LINEAR, "--seed", "3", "--json").json["model"]
        for name in ("a", "b")
    ]
    assert ids[0] == ids[1]


def test_recipe_settings_taxonomy_validation_and_test_are_obeyed(file: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('kind = "linear"\nmax_features = 300\nfolds = 0\n')
    (tmp_path / "labels.toml").write_text("".join(f'[[label]]\nname = "{name}"\n' for name in (*tiny.LABELS, "Praise")))
    write_tickets(tmp_path / "validation.jsonl", tiny.tickets(30, seed=8))
    write_tickets(tmp_path / "test.parquet", tiny.tickets(20, seed=9))
    answer = tagdesk(
        *("train", file, "--out", tmp_path / "m", "--recipe", tmp_path / "own.toml", "--set", "strength=2"),
        *("--taxonomy", tmp_path / "labels.toml", "--seed", "4", "--json"),
        *("--validation", tmp_path / "validation.jsonl", "--test", tmp_path / "test.parquet"),
    )
    assert answer.code == 0
    assert (answer.json["n"], answer.json["measured_on"]) == (20, "test")
    assert answer.json["names"][-1] == "Praise"
    facts = tagdesk("card", tmp_path / "m" / answer.json["model"], "--json").json
    assert {key: facts["recipe"][key] for key in ("max_features", "folds", "strength", "seed")} == {
        "max_features": 300, "folds": 0, "strength": 2.0, "seed": 4
    }  # fmt: skip
    assert facts["policy"]["fitted_on"] == 30
    assert [label["name"] for label in facts["labels"]] == answer.json["names"]


def test_rejected_rows_are_told_kept_beside_the_model_and_end_in_5(file: Path, tmp_path: Path) -> None:
    with file.open("a", encoding="utf-8") as handle:
        handle.write("too,few\nx1,\u200b,Billing Issue,c\n")
    answer = tagdesk("train", file, "--out", tmp_path / "m", *LINEAR, "--json")
    assert answer.code == 5
    assert "2 of 62 rows rejected (1 ragged, 1 empty_text; lines 62, 63)" in answer.err
    rejects = Path(f"{answer.json['path']}.rejects.jsonl")
    assert [json.loads(line)["code"] for line in rejects.read_text().splitlines()] == ["ragged", "empty_text"]
    assert Model.load(answer.json["path"]).id == answer.json["model"]


def test_f27_tickets_that_stand_on_both_sides_are_told(file: Path, tmp_path: Path) -> None:
    answer = tagdesk("train", file, "--out", tmp_path / "m", *LINEAR, "--test", file)
    assert answer.code == 0
    assert f"60 of the tickets to learn from also stand in {file}" in answer.err


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--recipe", "magic"), 2, "linear, probe"),
        (("--recipe", "nope.toml"), 3, "nope.toml"),
        (("--set", "epochs=3"), 2, "transformer"),
        (("--set", "nonsense=3"), 2, "Unknown setting"),
        (("--set", "folds"), 2, "name=value"),
        (("--set", "folds=1"), 2, "folds"),
        (("--set", "folds=NaN"), 2, "whole number"),
        (("--set", "objective=magic"), 2, "f1_macro"),
        (("--recipe", "linear", "--set", "folds=50", "--set", "max_features=9"), 2, "max_features"),
        (("--taxonomy", "nope.toml"), 3, "nope.toml"),
        (("--set", "encoder=/nowhere/at/all"), 2, "encoder"),
        (("--labels-column", "nope"), 3, "nope"),
        (("--test", "nope.csv"), 3, "nope.csv"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_before_the_work(
    options: tuple[str, ...], code: int, says: str, file: Path, tmp_path: Path
) -> None:
    with nothing_new_in(tmp_path):
        assert says in refusal(code, "train", file, "--out", tmp_path / "m", *options)


def test_a_taxonomy_that_lacks_a_label_or_is_broken_is_named(file: Path, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text('[[label]]\nname = "Billing Issue"\n')
    assert "'Shipping Concern'" in refusal(
        3, "train", file, "--out", tmp_path / "m", *LINEAR, "--taxonomy", tmp_path / "small.toml"
    )
    (tmp_path / "broken.toml").write_text("[[label]\n")
    assert "broken.toml" in refusal(3, "train", file, "--out", tmp_path / "m", "--taxonomy", tmp_path / "broken.toml")


def test_columns_are_found_by_the_names_given(
    tickets: list[Ticket], models: dict[str, Model], saved: Path, tmp_path: Path
) -> None:
    path = tmp_path / "in.jsonl"
    rows = [
        {"message": t.text, "tags": sorted(t.labels or ()), "who": t.unit, "nr": t.id, "at": f"2024-01-01T00:{n:02}:00"}
        for n, t in enumerate(tickets)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    named = ("--text-column", "message", "--labels-column", "tags")
    trained = tagdesk("train", path, "--out", tmp_path / "m", *LINEAR, *named, "--unit-column", "who", "--json")
    assert (trained.code, trained.json["n"]) == (0, 60)
    by_unit = ("--set", "fold_by=unit")
    assert tagdesk("train", path, "--out", tmp_path / "n", *LINEAR, *named, "--unit-column", "who", *by_unit).code == 0
    model = str(saved / models["linear"].id)
    assert tagdesk("evaluate", model, path, *named, "--json").json["n_labelled"] == 60
    assert tagdesk("check", path, *named, "--json").json["accepted"] == 60
    assert (
        tagdesk(
            "classify", path, tmp_path / "o.csv", "--text-column", "message", "--id-column", "nr", "--model", model
        ).code
        == 0
    )
    assert tagdesk("split", path, "--out", tmp_path / "p", *named, "--by", "time", "--time-column", "at").code == 0
    refusal(3, "check", path)


def test_evaluation_gives_every_figure(file: Path, saved: Path, models: dict[str, Model], tmp_path: Path) -> None:
    model = models["linear"]
    answer = tagdesk("evaluate", model.id, file, "--models", saved, "--out", tmp_path / "report", "--json")
    assert answer.code == 0
    found = answer.json
    assert set(found) >= FIGURES
    assert all(set(figures) >= LABEL_FIGURES for figures in found["per_label"].values())
    assert list(found["per_label"]) == list(tiny.LABELS)
    assert (found["n"], found["model"]) == (60, model.id)
    assert {path.suffix for path in (tmp_path / "report").iterdir()} == {".md", ".json", ".png"}
    assert "report.md" in answer.err
    assert "exact" in tagdesk("evaluate", model.id, file, "--models", saved).out.lower()


def test_a_threshold_changes_what_is_measured(file: Path, saved: Path, models: dict[str, Model]) -> None:
    found = tagdesk("evaluate", models["linear"].id, file, "--models", saved, "--threshold", "1", "--json").json
    assert (found["no_label_rate"], found["precision_micro"]) == (1.0, None)


def test_a_file_without_labels_has_no_figures_but_is_no_error(
    saved: Path, models: dict[str, Model], tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text\ncard charged\nparcel late\n")
    model = str(saved / models["linear"].id)
    answer = tagdesk("evaluate", model, path, "--json", "--out", tmp_path / "report")
    assert answer.code == 0
    assert (answer.json["n"], answer.json["exact_match"], answer.json["f1_macro"]) == (2, None, None)
    assert answer.json["no_label_rate"] is not None
    assert "No ticket is labelled" in tagdesk("evaluate", model, path).out


def test_a_check_accounts_for_every_row_and_says_what_to_mend(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(
        "id,text,labels\n1,hello there friend,A\n2,Hello there friend,B\n3,,A\n\n4,another one,A|C\n5,short\n",
        encoding="utf-8",
    )
    answer = tagdesk("check", path, "--json")
    found = answer.json
    assert answer.code == 5
    assert (found["read"], found["accepted"], found["rejected"], found["skipped"]) == (6, 3, 2, 1)
    assert {problem["code"] for problem in found["problems"]} >= {"contradiction", "rare_label", "empty_text", "ragged"}
    assert [row["line"] for row in found["rejected_rows"]] == [4, 7]
    out = tagdesk("check", path).out
    assert f"{path}: 6 rows = 3 tickets + 2 rejected + 1 blank" in out.replace("\n", "")
    (tmp_path / "t.toml").write_text('[[label]]\nname = "A"\n')
    strict = tagdesk("check", path, "--taxonomy", tmp_path / "t.toml", "--json").json
    assert "unknown_label" in {problem["code"] for problem in strict["problems"]}
    quiet = tagdesk("check", path, "--rare-below", "0", "--json").json
    assert "rare_label" not in {problem["code"] for problem in quiet["problems"]}


def test_a_check_fits_its_lines_and_says_how_many_it_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text\n" + "the same words\n" * 40)
    out = tagdesk("check", path).out
    assert max(map(len, out.splitlines())) <= 120
    assert "20, 21, 22 and 19 more)" in " ".join(out.split())


def test_a_column_of_labels_under_another_name_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("Message,Category\n" + "".join(f"question {n} of customer {n},{'AB'[n % 2]}\n" for n in range(20)))
    assert "--text-column" in refusal(3, "check", path)
    columns = "The file has: 'Message', 'Category'. Say which holds the labels: --labels-column."
    assert columns in " ".join(tagdesk("check", path, "--text-column", "Message").out.split())
    dealt = tagdesk("split", path, "--out", tmp_path / "parts", "--text-column", "Message")
    assert dealt.code == 0
    assert columns in dealt.err
    named = ("--text-column", "Message", "--labels-column", "Category")
    assert tagdesk("split", path, "--out", tmp_path / "named", *named).err == ""


def test_parts_share_no_text_and_keep_every_column(tickets: list[Ticket], tmp_path: Path) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "parts"
    rows = [{"text": t.text, "labels": sorted(t.labels or ()), "extra": {"n": n}} for n, t in enumerate(tickets)]
    rows += [{"text": f"{row['text']}!", "labels": row["labels"], "late": 1} for row in rows[:20]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = tagdesk("split", path, "--out", out, "-p", "train=.6", "-p", "dev=.2", "-p", "test=.2", "--json")
    assert answer.code == 0
    parts = {
        name: [json.loads(line) for line in (out / f"{name}.jsonl").read_text().splitlines()]
        for name in answer.json["parts"]
    }
    assert answer.json["parts"] == {name: len(part) for name, part in parts.items()}
    by_text = {row["text"]: row for row in rows}
    dealt = [row for part in parts.values() for row in part]
    assert len(dealt) == 80
    assert all({key: value for key, value in row.items() if value is not None} == by_text[row["text"]] for row in dealt)
    names = [name for name, part in parts.items() for _ in part]
    groups = near_duplicate_groups([clean(row["text"]).text for row in dealt]).tolist()
    assert len(set(zip(groups, names, strict=True))) == len(set(groups))
    again = tagdesk("split", path, "--out", tmp_path / "b", "-p", "train=.6", "-p", "dev=.2", "-p", "test=.2")
    assert again.code == 0
    assert (tmp_path / "b" / "test.jsonl").read_bytes() == (out / "test.jsonl").read_bytes()
    assert "dev" in again.out


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".ndjson"])
def test_customers_stay_on_one_side_and_the_format_stays(suffix: str, tickets: list[Ticket], tmp_path: Path) -> None:
    path, out = tmp_path / f"in{suffix}", tmp_path / "parts"
    write_tickets(path, tickets)
    made = tagdesk("split", path, "--out", out, "--by", "unit", "--json")
    assert made.code == 0
    units = [{ticket.unit for ticket in read_tickets(place).tickets} for place in made.json["paths"].values()]
    assert len(units[0] | units[1]) == 20
    assert not units[0] & units[1]
    assert {Path(place).suffix for place in made.json["paths"].values()} == {
        ".jsonl" if suffix == ".ndjson" else suffix
    }


def test_f20_parts_that_are_there_are_kept_unless_forced(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts"
    out.mkdir()
    (out / "test.csv").write_text("precious")
    with nothing_new_in(tmp_path):
        assert "--force" in refusal(2, "split", file, "--out", out)
        assert "also what is read" in refusal(
            2, "split", file, "--out", tmp_path, "-p", "in=.5", "-p", "b=.5", "--force"
        )
    assert (out / "test.csv").read_text() == "precious"
    assert tagdesk("split", file, "--out", out, "--force").code == 0


@pytest.mark.parametrize(
    "parts", [["a"], ["a=x"], ["a=.5", "b=.4"], ["a=nan", "b=.5"], ["a=-1", "b=2"], ["=1"], ["a=.5", "a=.5"]]
)
def test_shares_that_make_no_whole_are_refused(parts: list[str], file: Path, tmp_path: Path) -> None:
    options = [word for part in parts for word in ("--part", part)]
    refusal(2, "split", file, "--out", tmp_path / "parts", *options)
    assert not (tmp_path / "parts").exists()
