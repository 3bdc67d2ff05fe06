"""What the report of a comparison holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tagdesk.compare import Difference, Figure, LabelDifference, McNemar, judge
from tagdesk.errors import UsageError
from tagdesk.report.canvas import BLUE, GREY, ORANGE
from tagdesk.report.differences import MOST_ROWS, PICTURE, as_document, difference_bars, write_comparison

PNG = b"\x89PNG\r\n\x1a\n"
EXACT = Figure("exact_match", "exact match")
LOSS = Figure("hamming_loss", "hamming loss", lower_is_better=True)
BETTER = Difference(EXACT, 0.5, 0.6, (0.05, 0.15), 200)
LESS_LOSS = Difference(LOSS, 0.2, 0.1, (-0.15, -0.05), 200)
WORSE = Difference(EXACT, 0.6, 0.5, (-0.15, -0.05), 200)
OPEN = Difference(EXACT, 0.5, 0.51, (-0.02, 0.04), 200)
DOUBTED = replace(BETTER, doubt="among 9 questions chance brings that about too")
NOWHERE = Difference(Figure("f1_macro", "macro F1"), None, None, None, 200)
SWAPS = McNemar(1_200, 3, 0.00042)
ABOUT = {"current": "0a1b", "challenger": "2c3d"}


def label(name: str, f1: Difference = BETTER, support: int = 40) -> LabelDifference:
    """F1 as given; recall was never defined."""
    figure = Figure(f"f1:{name}", f"F1 of {name}")
    recall = replace(NOWHERE, figure=Figure(f"recall:{name}", f"recall of {name}"), doubt="no ticket deserves it")
    return LabelDifference(name, support, replace(f1, figure=figure), recall)


def write(folder: Path, figures: Sequence[Difference] = (BETTER,), labels: Sequence[LabelDifference] = ()) -> str:
    """The words that are written."""
    write_comparison(folder, judge(figures[0], 0.01), figures, labels, SWAPS, ABOUT)
    return (folder / "comparison.md").read_text(encoding="utf-8")


def test_words_json_and_picture_lie_beside_each_other_and_the_same_again_is_the_same_bytes(tmp_path: Path) -> None:
    folders = tmp_path / "new" / "a", tmp_path / "b"
    for folder in folders:
        assert f"![differences]({PICTURE})" in write(folder, [BETTER, LESS_LOSS], [label("A")])
    names = sorted(path.name for path in folders[0].iterdir())
    assert names == ["comparison.json", "comparison.md", PICTURE]
    assert (folders[0] / PICTURE).read_bytes().startswith(PNG)
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_the_words_say_the_verdict_the_figures_and_each_label(tmp_path: Path) -> None:
    words = write(tmp_path, [BETTER, LESS_LOSS, NOWHERE], [label("A"), label("B", DOUBTED, 1_234), label("C", NOWHERE)])
    lines = words.splitlines()
    assert lines[0] == "# Two models on the same tickets"
    assert lines[2] == "Challenger is better: exact match +10.0 points (5.0 to 15.0)."
    assert "- current: 0a1b" in lines
    assert "only the current model: 1,200; only the challenger: 3 (McNemar's exact test: p = 0.00042)" in words
    assert "| exact match | 0.500 | 0.600 | +10.0 points (5.0 to 15.0) |" in lines
    assert "| hamming loss | 0.200 | 0.100 | -10.0 points (-15.0 to -5.0) |" in lines
    assert "| macro F1 | - | - | undefined |" in lines
    assert "| A | 40 | 0.500 | 0.600 | +10.0 points (5.0 to 15.0) |" in lines
    doubted = f"+10.0 points (5.0 to 15.0); {DOUBTED.doubt}"
    assert f"| B | 1,234 | 0.500 | 0.600 | {doubted} |" in lines
    assert "| C | 40 | - | - | undefined |" in lines


def test_the_json_is_the_comparison_with_numbers_that_are_finite(tmp_path: Path) -> None:
    figures, labels = [BETTER, replace(OPEN, blind_to=float("inf")), NOWHERE], [label("A"), label("C", NOWHERE)]
    write(tmp_path, figures, labels)
    text = (tmp_path / "comparison.json").read_text(encoding="utf-8")
    found = json.loads(text, parse_constant=pytest.fail)
    expected = {"about": ABOUT, **as_document(judge(BETTER, 0.01), figures, labels, SWAPS)}
    assert found == json.loads(json.dumps(expected))
    assert (found["verdict"]["finding"], found["verdict"]["margin"]) == ("better", 0.01)
    assert (found["only_current_right"], found["only_challenger_right"], found["mcnemar_p"]) == (1_200, 3, 0.00042)
    assert [one["label"] for one in found["labels"]] == ["A", "C"]
    assert found["labels"][0]["f1"]["difference"] == pytest.approx(0.1)
    assert found["labels"][1]["recall"]["difference"] is None


@pytest.mark.parametrize("name", ["a|b *c* <script>", "![x](http://x)", "line\nend", "\ud800", "报销 🐢", "x" * 500])
def test_any_name_can_be_written_and_drawn_and_none_breaks_out_of_the_table(tmp_path: Path, name: str) -> None:
    words = write(tmp_path, [BETTER], [label(name), label("B")])
    rows = [line for line in words.splitlines() if line.endswith("+10.0 points (5.0 to 15.0) |")]
    assert len(rows) == 3  # exact match, this name, B
    cells = rows[1].replace("\\|", "").split("|")
    assert len(cells) == 7
    assert not any(acting in rows[1] for acting in ("<script>", "![x]", "*c*"))


def test_a_hostile_name_of_a_file_or_model_stays_in_its_line(tmp_path: Path) -> None:
    about = {"file": "a\n# Verdict: [better](x).csv"}
    write_comparison(tmp_path, judge(BETTER), [BETTER], [], SWAPS, about)
    words = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "- file: a \\# Verdict: \\[better\\](x).csv" in words.splitlines()


@pytest.mark.parametrize(
    ("difference", "colour", "points"),
    [(BETTER, BLUE, 10), (LESS_LOSS, BLUE, 10), (WORSE, ORANGE, -10), (OPEN, GREY, 1), (DOUBTED, GREY, 10)],
    ids=["better", "a smaller loss", "worse", "open", "doubted"],
)
def test_better_lies_to_the_right_whatever_the_figure_and_what_is_not_shown_is_grey(
    difference: Difference, colour: str, points: float
) -> None:
    (axes,) = difference_bars([difference]).axes
    _zero, interval, point = axes.lines
    assert {interval.get_color(), point.get_color()} == {colour}
    assert point.get_xdata()[0] == pytest.approx(points)
    low, high = interval.get_xdata()
    assert low < points < high


def test_the_first_stands_on_top_and_undefined_ones_are_left_out() -> None:
    (axes,) = difference_bars([NOWHERE, BETTER, LESS_LOSS]).axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["exact match", "hamming loss"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_beyond_what_can_be_read_the_first_are_drawn() -> None:
    (axes,) = difference_bars([replace(OPEN, figure=Figure(f"f{n}", f"figure {n}")) for n in range(300)]).axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [f"figure {n}" for n in range(MOST_ROWS)]


@pytest.mark.parametrize("differences", [[], [NOWHERE]], ids=["none", "none that is defined"])
def test_a_picture_of_nothing_can_be_drawn(differences: list[Difference], tmp_path: Path) -> None:
    difference_bars(differences).savefig(tmp_path / "nothing.png")


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(UsageError, match="file") as caught:
        write(file)
    assert caught.value.code == "unwritable"
    assert file.read_text() == "mine"
