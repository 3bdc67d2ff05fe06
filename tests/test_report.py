"""What a report tells and which files it leaves."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from tagdesk.errors import UsageError
from tagdesk.evaluate import evaluate
from tagdesk.report import overall_rows, summary, write_report
from tagdesk.report.canvas import drawable
from tagdesk.report.curves import precision_recall_curves, reliability_diagram
from tagdesk.report.markdown import markdown
from tagdesk.report.plots import cooccurrence_map, label_bars

PNG = b"\x89PNG\r\n\x1a\n"
ALL_FILES = ["report.md", "report.json", "labels.png", "precision_recall.png", "reliability.png", "cooccurrence.png"]


def tickets(number=60, labels=3, share=0.4, seed=0):
    """Random tickets whose scores tend to be right."""
    generator = np.random.default_rng(seed)
    targets = generator.random((number, labels)) < share
    probs = np.clip(generator.normal(0.3 + 0.4 * targets, 0.2), 0, 1).astype(np.float32)
    return targets, probs


def measured(targets, probs, names=None, **settings):
    names = names or [f"label {i}" for i in range(targets.shape[1])]
    return evaluate(targets, probs, probs >= 0.5, names, resamples=50, **settings)


def write(folder, targets, probs, names=None):
    report = measured(targets, probs, names)
    return write_report(folder, report, targets, probs, title="Test", about={"Model": "0a1b"})


def test_words_figures_and_pictures_lie_beside_each_other(tmp_path):
    folder = tmp_path / "new" / "report"
    written = write(folder, *tickets())
    assert [path.name for path in written] == ALL_FILES
    assert sorted(path.name for path in folder.iterdir()) == sorted(ALL_FILES)
    assert all(path.read_bytes().startswith(PNG) for path in written if path.suffix == ".png")
    words = (folder / "report.md").read_text(encoding="utf-8")
    assert all(f"]({name})" in words for name in ALL_FILES if name.endswith(".png"))


def test_the_json_is_the_report(tmp_path):
    targets, probs = tickets()
    write(tmp_path, targets, probs)
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    expected = json.loads(json.dumps(measured(targets, probs).to_dict()))
    assert found == {"title": "Test", "about": {"Model": "0a1b"}, **expected}


def test_the_same_report_is_the_same_bytes(tmp_path):
    first, second = (write(tmp_path / name, *tickets(20, 1)) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize(
    ("targets", "missing"),
    [
        (np.zeros((0, 2), dtype=bool), {"labels.png", "precision_recall.png", "reliability.png", "cooccurrence.png"}),
        (np.zeros((4, 2), dtype=bool), {"precision_recall.png", "cooccurrence.png"}),
        (np.ones((4, 2), dtype=bool), set()),
        (np.ones((1, 1), dtype=bool), {"cooccurrence.png"}),
        (np.eye(2, dtype=bool), {"cooccurrence.png"}),
    ],
    ids=["no tickets", "no positives", "all positives", "one ticket and label", "never together"],
)
def test_pictures_without_content_are_left_out(tmp_path, targets, missing):
    probs = np.linspace(0, 1, targets.size, dtype=np.float32).reshape(targets.shape)
    written = write(tmp_path, targets, probs)
    assert {path.name for path in written} == set(ALL_FILES) - missing


def test_pictures_of_an_earlier_report_do_not_stay(tmp_path):
    write(tmp_path, *tickets(20, 2))
    (tmp_path / "notes.txt").write_text("mine")
    targets = np.zeros((0, 2), dtype=bool)
    write(tmp_path, targets, targets.astype(np.float32))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "report.json", "report.md"]


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    targets = np.zeros((0, 1), dtype=bool)
    write(tmp_path, targets, targets.astype(np.float32))
    before = (tmp_path / "report.md").read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        write(tmp_path, np.ones((3, 1), dtype=bool), np.ones((3, 1), dtype=np.float32))
    assert (tmp_path / "report.md").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    targets = np.zeros((0, 1), dtype=bool)
    with pytest.raises(UsageError, match="taken"):
        write(tmp_path / "taken", targets, targets.astype(np.float32))


def test_tickets_of_another_report_are_refused(tmp_path):
    targets, probs = tickets()
    with pytest.raises(ValueError, match=r"expected \(60, 3\)"):
        write_report(tmp_path, measured(targets, probs), targets[1:], probs[1:], title="", about={})


@pytest.mark.parametrize(
    "name",
    [
        "_hidden_ $x_1$ & <b>",
        "$\\frac{1}{0}$",
        "注文の返金",
        "🧾 Rechnung",
        "شكوى",
        "e\u0301\u200d\ufe0f",
        "\ue000",
        "\ud800",
        "x" * 200,
        "%s {0} {{}}",
    ],
)
def test_any_name_can_be_written_and_drawn(tmp_path, name):
    # Warnings are errors in tests: a missing glyph or a broken formula would fail here.
    written = write(tmp_path, *tickets(20, 2), names=[name, "other"])
    assert len(written) == len(ALL_FILES)


def test_names_on_pictures_are_short_and_told_apart():
    names = ["a" * 60 + "1", "a" * 60 + "2", "short", "\ue000\ue000", "\ue000\ue001"]
    shown = drawable(names, 20)
    assert max(map(len, shown)) <= 20
    assert len(set(shown)) == len(names)
    assert shown[2] == "short"


def test_figures_grow_with_the_labels_and_name_them_all():
    targets, probs = tickets(200, 77, share=0.05)
    report = measured(targets, probs)
    bars, heat = label_bars(report), cooccurrence_map(report)
    assert len(bars.axes[0].get_yticklabels()) == 77
    assert len(heat.axes[0].get_xticklabels()) == 77
    assert bars.get_size_inches()[1] > 12
    assert heat.get_size_inches()[0] > 12


def test_beyond_what_can_be_read_the_weakest_and_most_frequent_labels_are_shown():
    targets, probs = tickets(60, 95, share=0.1)
    report = measured(targets, probs)
    bars, heat = label_bars(report), cooccurrence_map(report)
    assert "90 weakest labels are shown" in bars.get_supxlabel()
    assert "80 most frequent labels are shown" in heat.get_supxlabel()
    weakest = min(report.names, key=lambda name: report.per_label[name].f1)
    assert weakest in [tick.get_text() for tick in bars.axes[0].get_yticklabels()]


def test_many_labels_share_one_panel_and_few_get_their_own():
    few, many = tickets(30, 3), tickets(30, 21)
    for draw in (precision_recall_curves, reliability_diagram):
        assert len(draw(measured(*few), *few).axes) == 4
        assert len(draw(measured(*many), *many).axes) == 1


def test_bars_stand_in_the_order_of_f1():
    targets, _ = tickets(100, 3)
    probs = targets.astype(np.float32)
    probs[:40, 0] = 1
    probs[:90, 2] = 1
    axes = label_bars(measured(targets, probs, ["middle", "best", "worst"])).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["best", "middle", "worst"]


def test_the_heat_map_shows_the_share_of_the_rows_tickets():
    targets = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    shares = cooccurrence_map(measured(targets, targets.astype(np.float32))).axes[0].images[0].get_array()
    assert shares[0, 1] == pytest.approx(0.5)
    assert shares[1, 0] == pytest.approx(1.0)
    assert np.isnan(np.ma.filled(shares, np.nan)[2]).all()


def test_overall_rows_hold_every_overall_figure_once():
    targets, probs = tickets()
    report = measured(targets, probs, refused=probs.max(axis=1) < 0.2)
    rows = overall_rows(report)
    figures = {key: value for key, value in report.to_dict().items() if isinstance(value, float)}
    assert sorted(value for _, value, _ in rows) == sorted(figures[key] for key in figures if key != "confidence")
    assert rows[0] == ("Exact match", report.exact_match, report.intervals["exact_match"])
    assert len({name for name, _, _ in rows}) == len(rows)


def test_the_summary_speaks_plainly():
    targets = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], dtype=bool)
    probs = np.array([[0.9, 0.1], [0.8, 0.1], [0.7, 0.2], [0.1, 0.1]], dtype=np.float32)
    text = summary(measured(targets, probs, ["Billing", "Access"]))
    assert text.startswith(
        "Measured on 4 labelled tickets and 2 labels. The model gives exactly the true labels to 75%"
    )
    assert "Of the labels that it gives, 67% are true. Of the true labels, it finds 67%." in text
    assert "the highest score is a true one in 67% of the cases. 25% of the tickets get no label." in text
    assert "Billing is recognised best (F1 0.80), Access worst (F1 0.00)." in text
    assert "Fewer than 30 tickets have Billing and Access: read those figures with care." in text


def test_almost_all_is_not_called_all():
    targets = np.ones((1000, 1), dtype=bool)
    probs = targets.astype(np.float32)
    probs[0] = 0
    assert "to 99.9% of the tickets" in summary(measured(targets, probs))


def test_the_summary_of_unlabelled_tickets_claims_nothing():
    targets, probs = tickets(4, 2)
    nothing_known = measured(targets, probs, known=np.zeros(4, dtype=bool))
    assert summary(nothing_known).startswith("No ticket is labelled, so nothing can be said")
    assert "Missed" not in markdown(nothing_known, "t", {}, [])
    some = measured(targets, probs, known=np.array([True, True, True, False]))
    assert "3 labelled tickets and 2 labels; 1 more ticket without known labels cannot be scored." in summary(some)


def test_names_cannot_break_out_of_the_tables():
    targets, probs = tickets(20, 2)
    words = markdown(measured(targets, probs, ["a|b <script>", "[x](y)"]), "# t\n\n## u", {"k\n": "*v*"}, [])
    assert "\n# \\# t \\#\\# u\n" in f"\n{words}"
    assert "- k: \\*v\\*" in words
    assert "| a\\|b \\<script\\> |" in words
    assert "\\[x\\](y)" in words


def test_importing_the_report_costs_no_plotting():
    code = "import sys, tagdesk.report; print(sorted({'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_drawing_does_without_the_global_state_of_pyplot(tmp_path):
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from tagdesk.evaluate import evaluate; from tagdesk.report import write_report\n"
        "t = np.ones((2, 1), bool); p = t.astype('f4'); r = evaluate(t, p, t, ['a'], resamples=0)\n"
        "write_report(Path(sys.argv[1]), r, t, p, title='', about={})\n"
        "print('matplotlib.figure' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True False"
