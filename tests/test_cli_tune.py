"""`tagdesk tune`."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import tiny
from command import nothing_new_in, refusal, tagdesk
from tagdesk.cli import tuning
from tagdesk.dataset import write_tickets
from tagdesk.scorers import Recipe
from tagdesk.ticket import Ticket
from tagdesk.tune import run as engine

HOSTILE = "<script>alert(1)</script> & 'Überweisung' *€*"
FEW = ("--set", "max_features=200", "--set", "folds=3", "--set", "word_ngrams=1", "--set", "char_ngrams=0")
LINEAR = ("--recipes", "linear", *FEW, "--minutes", "50")


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with (
        mock.patch.object(engine, "latency_ms", return_value=1.0),
        mock.patch("tagdesk.tune.plan.FOLDS", 3),
    ):
        yield


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_tickets(tmp_path / "in.csv", tiny.tickets(40))
    return tmp_path / "in.csv"


class Tags(HTMLParser):
    """What a page holds: its tags with their attributes, and its words outside of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside not in {"script", "style"}:
            self.words += data

    def handle_endtag(self, _tag: str) -> None:
        self._inside = ""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, str]:
    """The folder of a search over tickets with a hostile label, the answer and what was said beside it."""
    folder = tmp_path_factory.mktemp("tune")
    named = {"Billing Issue": HOSTILE}
    tickets = [replace(t, labels=frozenset(named.get(n, n) for n in t.labels or ())) for t in tiny.tickets(48)]
    rows = [["frage", "größe"], *([t.text, "|".join(sorted(t.labels or ()))] for t in tickets)]
    source = folder / "Anfragen <b>.csv"
    with source.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows(rows)
    columns = ("--text-column", "frage", "--labels-column", "größe")
    with mock.patch("tagdesk.tune.plan.FOLDS", 3):
        answer = tagdesk("tune", source, *columns, *LINEAR, "--trials", "3", "--out", folder / "out", "--json")
    assert answer.code == 0, answer.err
    return folder / "out", answer.json, answer.err


def test_a_search_leaves_a_recipe_and_a_report(finished: tuple[Path, Any, str]) -> None:
    out, found, said = finished
    names = ["best.toml", "recipe.toml", "report.html", "report.md", "summary.json", "trials.csv", "tune.log"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert found["sentence"] in (out / "report.md").read_text(encoding="utf-8").replace("\\", "")
    assert json.loads((out / "summary.json").read_text(encoding="utf-8"))["trials"] == found["trials"]
    chosen = Recipe.from_toml((out / "recipe.toml").read_text(encoding="utf-8"))
    assert chosen.to_dict() == found["recipe"]
    best = Recipe.from_toml((out / "best.toml").read_text(encoding="utf-8"))
    assert best.to_dict() == found["best"]["recipe"]
    assert "for each fold of a trial" in said
    assert "3 trials take about" in said
    assert "warning: Labels with fewer than" not in said
    assert "tickets; of so few" in said


def test_the_recipe_is_usable_at_once(finished: tuple[Path, Any, str], file: Path, tmp_path: Path) -> None:
    out, _, _ = finished
    answer = tagdesk("train", file, "--recipe", out / "recipe.toml", "--out", tmp_path / "models", "--json")
    assert answer.code == 0, answer.err


def test_trials_are_rows_of_a_table(finished: tuple[Path, Any, str]) -> None:
    out, found, _ = finished
    with (out / "trials.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [int(row["trial"]) for row in rows] == [0, 1, 2]
    assert rows[0]["as_it_comes"] == "True"
    assert float(rows[0]["value"]) == found["trials"][0]["value"]
    assert {"strength", "label_sets", "seconds", "after_2_folds", "reason"} <= set(rows[0])


def test_the_page_asks_nothing_of_the_network(finished: tuple[Path, Any, str]) -> None:
    page = Tags((finished[0] / "report.html").read_text(encoding="utf-8"))
    places = [
        value for _, attrs in page.tags for name, value in attrs.items() if name in {"src", "href", "data", "action"}
    ]
    assert places == []
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "img", "object", "base"} == set()
    policies = [
        attrs["content"] or "" for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'")
    assert "http" not in policies[0]


def test_the_page_holds_plotly_once_with_four_pictures(finished: tuple[Path, Any, str]) -> None:
    text = (finished[0] / "report.html").read_text(encoding="utf-8")
    assert text.count("plotly.js v") == 1
    pictures = [attrs.get("id") for tag, attrs in Tags(text).tags if attrs.get("class") == "plotly-graph-div"]
    assert pictures == ["plot-0", "plot-1", "plot-2", "plot-3"]


def test_names_of_labels_and_files_cannot_act_in_a_report(finished: tuple[Path, Any, str]) -> None:
    out, found, _ = finished
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert HOSTILE in Tags(text).words
    assert "Anfragen <b>.csv" in Tags(text).words
    assert HOSTILE in found["labels"]
    words = (out / "report.md").read_text(encoding="utf-8")
    assert "<script>" not in words.replace("\\<", "")
    assert "größe" not in words  # a column's name is nobody's business


def test_a_second_call_tries_no_more_and_says_the_same(file: Path, tmp_path: Path) -> None:
    call = ("tune", file, *LINEAR, "--trials", "2", "--out", tmp_path / "out")
    first = tagdesk(*call)
    assert first.code == 0, first.err
    for words in ("Account Access", "f1_macro, inner folds", "tagdesk train", "recipe.toml"):
        assert words in first.out
    again = tagdesk(*call, "--json")
    assert again.code == 0
    assert "has its 2 trials" in again.err
    assert len(again.json["trials"]) == 2
    assert "objective" in refusal(2, *call, "--objective", "exact_match").replace("other ", "")
    more = tagdesk("tune", file, *LINEAR, "--trials", "3", "--out", tmp_path / "out", "--json")
    assert [row["parameters"] for row in more.json["trials"]][:2] == [row["parameters"] for row in again.json["trials"]]


def test_a_search_that_needs_longer_than_allowed_says_so(file: Path, tmp_path: Path) -> None:
    call = ("tune", file, "--recipes", "linear", *FEW, "--trials", "100000", "--minutes", "0.001")
    answer = tagdesk(*call, "--out", tmp_path / "out", "--yes")
    assert "The search will end early" in answer.err
    assert answer.code in {0, 4}  # a quick machine does a trial in that time


def test_a_person_is_asked_and_others_are_told() -> None:
    with mock.patch("sys.stdin") as stdin, mock.patch("typer.confirm") as confirm:
        stdin.isatty.return_value = True
        tuning._ask("The search will end early", yes=False)
        assert confirm.call_args[0] == ("The search will end early. Go on?",)
        assert confirm.call_args[1]["abort"]
        tuning._ask("The search will end early", yes=True)
        stdin.isatty.return_value = False
        tuning._ask("The search will end early", yes=False)
        assert confirm.call_count == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--trials", "0"), "greater than or equal to 1"),
        (("--trials", "-5"), "greater than or equal to 1"),
        (("--minutes", "0"), "expected a number above 0"),
        (("--minutes", "nan"), "expected a number above 0"),
        (("--minutes", "inf"), "expected a number above 0"),
        (("--latency-ms", "0"), "milliseconds above 0"),
        (("--objective", "accuracy"), "Objective 'accuracy' is unknown"),
        (("--recipes", "nonsense"), "There is no recipe 'nonsense'"),
        (("--recipes", " , "), "no recipe to search in"),
        (("--set", "epochs=3"), "epochs concerns transformer"),
        (("--set", "kind=linear"), "--recipes"),
        (("--set", "strength"), "expected name=value"),
        (("--study", "a\nb"), "visible characters"),
        (("--storage", "postgresql://ada:hush@127.0.0.1:1/x"), "does not answer"),
        (("--storage", "nonsense://ada:hush@host/x"), "no address of a database"),
        (("--out", "/dev/null/below"), "nothing can be written here"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(
    options: tuple[str, str], said: str, file: Path, tmp_path: Path
) -> None:
    out = ("--out", tmp_path) if options[0] != "--out" else ()
    with nothing_new_in(tmp_path):
        line = refusal(1 if "answer" in said else 2, "tune", file, *LINEAR, *out, *options)
    assert said in line
    assert "hush" not in line


def test_a_file_that_is_no_journal_is_refused_and_kept(file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    assert "no journal" in refusal(3, "tune", file, *LINEAR, "--storage", file, "--out", tmp_path)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("tickets", "said"),
    [
        ([Ticket(str(n), f"text number {n}") for n in range(40)], "No ticket carries a label"),
        ([Ticket(str(n), f"text number {n}", frozenset({"A"})) for n in range(40)], "same labels"),
        ([Ticket(str(n), f"word{n} other{n}", frozenset("AB"[n % 2])) for n in range(12)], "too few"),
    ],
)
def test_tickets_that_teach_nothing_are_refused(tickets: list[Ticket], said: str, tmp_path: Path) -> None:
    write_tickets(tmp_path / "in.csv", tickets)
    assert said in refusal(3, "tune", tmp_path / "in.csv", *LINEAR, "--out", tmp_path)


def test_twenty_tickets_make_a_search_with_warnings(tmp_path: Path) -> None:
    tickets = [Ticket(str(n), f"word{n} other{n} {'ab'[n % 2]}", frozenset("AB"[n % 2])) for n in range(19)]
    write_tickets(tmp_path / "in.csv", [*tickets, Ticket("20", "one of its kind", frozenset({"Ç"}))])
    answer = tagdesk("tune", tmp_path / "in.csv", *LINEAR, "--trials", "2", "--out", tmp_path / "out", "--json")
    assert answer.code == 0, answer.err
    assert "'Ç' (1)" in answer.err
    assert not answer.json["is_better"]


def test_without_the_extra_one_line_says_what_to_install(file: Path, tmp_path: Path) -> None:
    ours = [name for name in sys.modules if re.match(r"tagdesk\.tune\.(study|run|results|page|sampler|storage)$", name)]
    hidden = dict.fromkeys(("optuna", "plotly"))
    with mock.patch.dict(sys.modules):
        for name in [*ours, *(name for name in sys.modules if re.match(r"(optuna|plotly)(\.|$)", name))]:
            del sys.modules[name]
        sys.modules.update(hidden)
        line = refusal(2, "tune", file, *LINEAR, "--out", tmp_path / "out")
    assert "pip install 'tagdesk[tune]'" in line


def test_rejected_rows_end_with_their_own_code(tmp_path: Path) -> None:
    write_tickets(tmp_path / "in.csv", tiny.tickets(40))
    with (tmp_path / "in.csv").open("a") as handle:
        handle.write("last,,Billing Issue\n")
    answer = tagdesk("tune", tmp_path / "in.csv", *LINEAR, "--trials", "1", "--out", tmp_path / "out", "--json")
    assert answer.code == 5
    assert "1 of 41 rows rejected" in answer.err
    assert (tmp_path / "out" / "recipe.toml").exists()
