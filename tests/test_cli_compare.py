"""`tagdesk compare`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiny
from command import nothing_new_in, refusal, tagdesk
from tagdesk.cli import screen
from tagdesk.dataset import write_tickets
from tagdesk.model import Model
from tagdesk.scorers import Recipe
from tagdesk.ticket import Ticket
from tagdesk.train import train

EVIL = "Refund\u202e\x9b2J[red]"
ACTING = set("\x1b\x9b\u202e")


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 labelled tickets of 20 customers."""
    path = tmp_path_factory.mktemp("tickets") / "test.csv"
    write_tickets(path, tiny.tickets(40, seed=5))
    return path


@pytest.fixture(scope="session")
def two(models: dict[str, Model], saved: Path) -> tuple[str | Path, ...]:
    """A good model and one of random weights, by id and where to find them."""
    return models["linear"].id, models["onnx"].id, "--models", saved


def test_the_verdict_comes_first_then_the_figures_and_the_labels(
    two: tuple[str | Path, ...], file: Path, models: dict[str, Model]
) -> None:
    answer = tagdesk("compare", two[0], two[1], file, *two[2:])
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0].startswith("Challenger is worse: exact match -")
    assert lines[1].startswith(f"On 40 tickets; only {models['linear'].id} gets ")
    for name in ("exact match", "micro F1", "macro F1", "hamming loss", "calibration error", *tiny.LABELS):
        assert any(name in line for line in lines[2:]), name
    assert max(map(len, lines)) <= 120
    turned = tagdesk("compare", two[1], two[0], file, *two[2:])
    assert turned.out.startswith("Challenger is better: exact match +")


def test_the_json_holds_the_verdict_every_figure_and_every_label(
    two: tuple[str | Path, ...], file: Path, models: dict[str, Model]
) -> None:
    found = tagdesk("compare", two[0], two[1], file, *two[2:], "--json", "--figure", "f1_macro").json
    assert (found["current"], found["challenger"], found["tickets"]) == (models["linear"].id, models["onnx"].id, 40)
    assert (found["verdict"]["finding"], found["verdict"]["figure"]) == ("worse", "f1_macro")
    names = [one["figure"] for one in found["figures"]]
    assert (names[0], len(names), len(set(names))) == ("f1_macro", 6, 6)
    assert {one["units"] for one in found["figures"]} == {20}
    assert [one["label"] for one in found["labels"]] == list(tiny.LABELS)
    assert sum(one["tickets"] for one in found["labels"]) >= 30
    assert found["only_current_right"] > found["only_challenger_right"]


def test_a_model_is_not_worse_than_itself(two: tuple[str | Path, ...], file: Path) -> None:
    answer = tagdesk("compare", two[0], two[0], file, *two[2:], "--margin", "0.3")
    assert answer.out.startswith("Challenger is not worse by 30.0 points or more: exact match +0.0 points (0.0 to 0.0)")
    plain = tagdesk("compare", two[0], two[0], file, *two[2:])
    assert plain.out.startswith("No difference shown: exact match +0.0 points")


def test_the_same_seed_gives_the_same_answer_and_another_one_other_intervals(
    two: tuple[str | Path, ...], file: Path
) -> None:
    first, again, other = (
        tagdesk("compare", two[0], two[1], file, *two[2:], "--json", "--seed", seed).json["figures"] for seed in "112"
    )
    assert first == again != other


def test_the_report_lies_in_the_folder_that_is_named(two: tuple[str | Path, ...], file: Path, tmp_path: Path) -> None:
    answer = tagdesk("compare", two[0], two[1], file, *two[2:], "--out", tmp_path / "new" / "report", "--json")
    assert answer.code == 0
    folder = tmp_path / "new" / "report"
    assert sorted(path.name for path in folder.iterdir()) == ["comparison.json", "comparison.md", "differences.png"]
    assert "comparison.md" in answer.err
    assert json.loads((folder / "comparison.json").read_text())["verdict"] == answer.json["verdict"]
    assert "- tickets: 40 labelled ones" in (folder / "comparison.md").read_text()


@pytest.mark.parametrize("margin", ["0", "1", "-0.01", "nan", "inf"])
def test_a_margin_that_is_no_share_is_refused(two: tuple[str | Path, ...], file: Path, margin: str) -> None:
    assert "0.01" in refusal(2, "compare", two[0], two[1], file, *two[2:], f"--margin={margin}")


def test_an_unknown_figure_is_told_before_any_model_is_asked(file: Path) -> None:
    line = refusal(2, "compare", "no-model", "no-other", file, "--figure", "accuracy")
    assert "exact_match" in line
    assert "f1_macro" in line


def test_a_report_that_cannot_be_written_is_told_before_any_model_is_asked(file: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with nothing_new_in(tmp_path):
        assert "taken" in refusal(2, "compare", "no-model", "no-other", file, "--out", taken)


def test_what_is_not_there_is_named(two: tuple[str | Path, ...], file: Path, tmp_path: Path) -> None:
    assert "no-model" in refusal(4, "compare", two[0], "no-model", file, *two[2:])
    assert "gone.csv" in refusal(3, "compare", two[0], two[1], tmp_path / "gone.csv", *two[2:])


def test_a_file_without_tickets_or_labels_is_refused(two: tuple[str | Path, ...], tmp_path: Path) -> None:
    contents = {
        "nothing.csv": "",
        "head.csv": "text,labels\n",
        "unlabelled.csv": "text\nmy card was charged\n",
        "other.csv": "number\n7\n",
        "strange.csv": "text,labels\nhello,Unheard Of\n",
    }
    said = {}
    for name, content in contents.items():
        path = tmp_path / name
        path.write_text(content)
        said[name] = refusal(3, "compare", two[0], two[1], path, *two[2:])
    assert "--labels-column" in said["unlabelled.csv"]
    assert "'Unheard Of'" in said["strange.csv"]


def test_rows_that_cannot_be_read_are_left_out_and_told(
    two: tuple[str | Path, ...], file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    path.write_text(file.read_text() + "x,,Billing Issue,\n")
    answer = tagdesk("compare", two[0], two[1], path, *two[2:], "--json")
    assert (answer.code, answer.json["tickets"]) == (5, 40)
    assert "1 of 41 rows rejected" in answer.err


def test_models_with_other_labels_are_compared_and_no_name_acts_on_the_terminal(
    two: tuple[str | Path, ...], tmp_path: Path
) -> None:
    refunds = [Ticket(f"r{n}", f"send \x1b[2J\u202emoney back {n}", frozenset({EVIL})) for n in range(20)]
    linear = Recipe(kind="linear", max_features=500, char_ngrams=0, folds=2)
    wider = train([*tiny.tickets(60), *refunds], linear).model.save(tmp_path / "models")
    path = tmp_path / "in.jsonl"
    write_tickets(path, [*tiny.tickets(30, seed=5), *refunds])
    given = ("compare", tmp_path / "models" / wider.id, two[0], path, *two[2:])
    answer = tagdesk(*given, "--out", tmp_path / "report")
    assert answer.code == 0
    assert answer.out.startswith("Challenger is worse")
    assert not ACTING & set(answer.out + answer.err)
    assert screen.visible(EVIL)[:12] in answer.out
    labels = tagdesk(*given, "--json").json["labels"]
    assert [one["label"] for one in labels] == [*tiny.LABELS, EVIL]
    assert labels[-1]["f1"]["challenger"] == 0
