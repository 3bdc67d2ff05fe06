"""The figures in README.md and docs/ are those that the benchmarks wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def table_in(path: str, first: str) -> list[str]:
    """The lines of the table that begins with a line like that."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(first))
    return lines[start : next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))]


def cells(line: str) -> list[str]:
    return [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]


def report_of_the_data() -> Any:
    return json.loads((ROOT / "data" / "report.json").read_text(encoding="utf-8"))["figures"]


def shipped() -> Any:
    """The manifest of the starter."""
    return json.loads((ROOT / "src" / "tagdesk" / "starter" / "model" / "manifest.json").read_text(encoding="utf-8"))


def results(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("path", "first", "result"),
    [
        ("docs/explanation/quality.md", "| system | trained on", "seed"),
        ("docs/explanation/quality.md", "| messages | model", "messages"),
        ("docs/explanation/quality.md", "| file | encoder | tickets", "audit"),
        ("docs/decisions/0005-int8.md", "| 2000 messages", "int8"),
        ("docs/how-to/explain.md", "| model | method", "explanations"),
    ],
)
def test_a_table_of_the_documents_is_the_one_that_was_measured(path: str, first: str, result: str) -> None:
    measured = (RESULTS / f"{result}.md").read_text(encoding="utf-8").splitlines()
    assert table_in(path, first) == [line for line in measured if line.startswith("|")]


def test_the_readmes_figures_of_recipes_are_those_that_were_measured() -> None:
    rows = {(row["recipe"], row["trained_on"]): row for row in results("seed")["rows"]}
    shown = [cells(line) for line in table_in("README.md", "| on the 200 reference") if line.startswith("| tagdesk")]
    assert shown
    for system, trained_on, *figures, seconds in shown:
        row = rows[system.removeprefix("tagdesk "), trained_on]
        assert figures == [f"{row[name]:.3f}" for name in ("exact_match", "f1_micro", "f1_macro")]
        assert seconds == f"{row['seconds']:.0f} s"


def test_the_readmes_figures_of_the_starter_are_those_that_were_measured() -> None:
    rows = {(row["set"], row["model"]): row for row in results("messages")}
    whole = cells(next(line for line in table_in("README.md", "| on the 200") if "starter" in line))
    starter = rows["reference tickets, test", "starter"]
    assert whole[2:5] == [f"{starter[name]:.3f}" for name in ("exact_match", "f1_micro", "f1_macro")]
    for name, *figures in map(cells, table_in("README.md", "| the starter on messages")[2:]):
        messages = re.findall(r"banking77|dstc11_natcs|multidogo|bitext|out_of_scope", name)[0]
        key = "false_alarm_rate" if messages == "out_of_scope" else "hit_at_1"
        assert figures == [f"{rows[messages, model][key]:.3f}" for model in ("starter", "linear on reference tickets")]


def test_the_latest_starter_in_the_story_is_the_one_that_was_measured() -> None:
    rows = {row["set"]: row for row in results("messages") if row["model"] == "starter"}
    *_, learned_from, banks, requests, alarms, whole = cells(
        table_in("docs/explanation/starter.md", "| starter | l")[-1]
    )
    assert learned_from == f"{shipped()['origin']['tickets']:,}"
    figures = [rows[name]["hit_at_1"] for name in ("banking77", "bitext")]
    figures += [rows["out_of_scope"]["false_alarm_rate"], rows["own test part"]["exact_match"]]
    assert [banks, requests, alarms, whole] == [f"{figure:.3f}".removeprefix("0") for figure in figures]


def test_the_data_card_says_what_the_data_holds() -> None:
    found = report_of_the_data()
    card = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    kinds = [f"{found[name]:.1%}".replace("%", " %") for name in ("with one", "with two", "with three or more")]
    assert f"{found['tickets']:,} messages" in card
    assert f"{shipped()['origin']['tickets']:,} tickets" in readme
    assert f"| vocabulary | {found['vocabulary']:,} |" in card
    assert f"| distinct word 4-grams / all | {found['distinct word 4-grams / all']:.3f} |".replace("0.", ".") in card
    assert f"| {', '.join(kinds)}, " in card


def test_the_measured_starter_is_the_one_that_ships() -> None:
    """Whoever ships another starter measures it again."""
    measured = {row["id"] for row in results("messages") if row["model"] == "starter"}
    assert measured == {shipped()["id"]}


def test_what_the_service_withstands_is_what_was_proved() -> None:
    claims = {c["claim"]: c["figure"] for part in results("prove").values() for c in part["claims"]}
    text = (ROOT / "docs" / "how-to" / "service.md").read_text(encoding="utf-8")
    share = [float(f.removesuffix(" %")) for claim, f in claims.items() if claim.startswith("goodput")]
    assert f"labels {min(share):.0f} % to {max(share):.0f} %" in text
    assert f"takes {float(claims['memory after a promotion and a rollback'].split()[0]):.0f} MB" in text
    assert f"HTTP adds {float(claims['what HTTP adds at light load, p50'].split()[0]):.1f} ms" in text
    lost = [figure for claim, figure in claims.items() if claim.startswith("acknowledged reviews lost to")]
    assert [figure.split(" of ")[0] for figure in lost] == ["0", "0"]
    assert {"overload", "swaps", "fuzz"}.isdisjoint(results("prove"))  # as the text says; else it is to be told


def test_what_smoothing_and_teachers_gave_is_what_was_measured() -> None:
    rows = {row["learned from"]: row for row in results("teachers")}
    text = " ".join((ROOT / "docs" / "explanation" / "starter.md").read_text(encoding="utf-8").split())
    names = ("best exact match", "mean average precision", "hit@1", "none: area under curve")
    for row, joint in {
        "labels, by the larger encoder": ", {}, {} and {}",
        "labels, mean of both encoders' probabilities": ", {}, {} and {}",
        "the larger encoder and labels": ", {}, {} and {}",
        "both encoders and labels": ", {}, {}, {}",
    }.items():
        first, *others = (f"{rows[row][name]:.3f}".lstrip("0") for name in names)
        assert first + joint.format(*others) in text, row
