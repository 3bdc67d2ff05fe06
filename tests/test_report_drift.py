"""What the report of a drift holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tagdesk.drift import LeftOut, Shift, Verdict
from tagdesk.drift.difference import Difference
from tagdesk.drift.words import left_out, rows, sizes
from tagdesk.errors import UsageError
from tagdesk.report.canvas import BLUE, GREY, ORANGE
from tagdesk.report.drift import CHANGES, MOST_ROWS, RATES, change_lines, pictures, rate_lines, write_drift

PNG = b"\x89PNG\r\n\x1a\n"
ROSE = Shift(
    "label_rate", "Refund", "'Refund' is given to 19% of tickets, 9% before",
    Difference(0.09, 0.19, 0.057, 0.143, 5e-6), 0.03, adjusted=0.0004, is_proven=True,
)  # fmt: skip
STAYED = Shift("label_rate", "Billing", "...", Difference(0.2, 0.21, -0.04, 0.06, 0.7), 0.03)
COUNT = Shift("labels_per_ticket", None, "...", Difference(1.2, 1.25, -0.05, 0.15, 0.3), 0.1, adjusted=0.6)
SMALL = replace(STAYED, label="Access", adjusted=0.001, is_proven=True)
SPREAD = Shift("score", "Refund", "...", Difference(0.1, 0.22, 0.02, 0.2, 0.01), 0.1, above=0.3125)
BIAS = Shift("calibration", "Refund", "...", Difference(0.0, -0.06, -0.1, -0.02, 0.01), 0.03)
GONE = LeftOut("length", None, "the texts of one window are gone")
DRIFTED = Verdict(
    "drifted", (600, 512), (500, 512), 100, (ROSE, STAYED, COUNT, SMALL, SPREAD, BIAS),
    (GONE, LeftOut("script", None, GONE.why), LeftOut("label_rate", "Rare", "it holds of fewer than 6 tickets")), 0.11,
)  # fmt: skip
TOO_FEW = Verdict("too few", (3, 500), (3, 500), 100)
ABOUT = {"model": "0a1b", "current": "now.csv"}


def write(folder: Path, verdict: Verdict = DRIFTED) -> str:
    write_drift(folder, verdict, ABOUT)
    return (folder / "drift.md").read_text(encoding="utf-8")


def test_figures_are_told_in_their_own_units() -> None:
    found = {row[0]: row[1:] for row in rows(DRIFTED)}
    assert found["rate of 'Refund'"] == ("9.0%", "19.0%", "+10.0 points", "+5.7 to +14.3 points", "<0.001", "drifted")
    assert found["labels per ticket"] == ("1.20", "1.25", "+0.05", "-0.05 to +0.15", "0.600", "steady")
    assert found["rate of 'Access'"][-1] == "too small to matter"
    assert found["scores of 'Refund' above 0.312"][0] == "10.0%"
    assert found["truth of scores of 'Refund'"][:2] == ("+0.0 points", "-6.0 points")


def test_what_was_left_out_is_told_by_the_reason() -> None:
    assert left_out(DRIFTED)[GONE.why] == ["length of texts", "script of texts"]
    assert left_out(DRIFTED)["it holds of fewer than 6 tickets"] == ["rate of 'Rare'"]


def test_sizes_tell_how_many_texts_were_different() -> None:
    assert sizes(DRIFTED) == "Before: 600 tickets (500 different texts). Now: 512 tickets."


def test_words_json_and_pictures_lie_beside_each_other_and_the_same_again_is_the_same_bytes(tmp_path: Path) -> None:
    folders = tmp_path / "new" / "a", tmp_path / "b"
    for folder in folders:
        words = write(folder)
        assert f"![changes]({CHANGES})" in words
        assert f"![rates]({RATES})" in words
    names = sorted(path.name for path in folders[0].iterdir())
    assert names == sorted(["drift.json", "drift.md", RATES, CHANGES])
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
        assert (folders[0] / name).read_bytes().startswith(PNG) == name.endswith(".png")
    document = json.loads((folders[0] / "drift.json").read_text(encoding="utf-8"))
    assert (document["about"], document["verdict"]) == (ABOUT, "drifted")


def test_the_words_begin_with_the_verdict(tmp_path: Path) -> None:
    lines = write(tmp_path).splitlines()
    assert lines[0] == "# Whether the traffic has changed"
    assert lines[2].startswith("Drifted: 'Refund' is given to 19% of tickets, 9% before. Before: 600 tickets")
    assert "- model: 0a1b" in lines
    assert "- 'Refund' is given to 19% of tickets, 9% before" in lines
    assert "- length of texts, script of texts: the texts of one window are gone" in lines


def test_no_verdict_draws_nothing_and_removes_earlier_pictures(tmp_path: Path) -> None:
    write(tmp_path)
    words = write(tmp_path, TOO_FEW)
    assert "No verdict: 100 different tickets a side are needed, and the reference has 3; 97 are missing." in words
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drift.json", "drift.md"]
    assert pictures(TOO_FEW) == {}


def test_a_hostile_name_of_a_label_stays_in_its_cell(tmp_path: Path) -> None:
    name = "a|b\n# <b>c</b> [x](y) \ud800"
    hostile = replace(ROSE, label=name, said=f"'{name}' is given")
    words = write(tmp_path, replace(DRIFTED, shifts=(hostile,)))
    (row,) = (line for line in words.splitlines() if line.startswith("| rate of"))
    assert row.count(" | ") == 6
    assert "\\|b \\# \\<b\\>" in row
    assert not any(line.startswith("# <b>") for line in words.splitlines())
    assert (tmp_path / RATES).read_bytes().startswith(PNG)


def test_what_drifted_is_drawn_in_another_colour() -> None:
    lines = change_lines([ROSE, STAYED]).axes[0].get_lines()
    assert [line.get_color() for line in lines[1:]] == [ORANGE, ORANGE, BLUE, BLUE]
    rings = rate_lines([STAYED, ROSE]).axes[0].get_lines()
    assert [line.get_color() for line in rings] == [GREY] * 3 + [ORANGE] * 3
    assert rings[1].get_xdata() == [20.0]


def test_of_many_labels_the_first_are_drawn() -> None:
    many = [replace(STAYED, label=f"label {place}") for place in range(MOST_ROWS + 20)]
    for figure in (change_lines(many), rate_lines(many)):
        assert len(figure.axes[0].get_yticks()) == MOST_ROWS


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError):
        write_drift(tmp_path / "file" / "below", DRIFTED, ABOUT)
