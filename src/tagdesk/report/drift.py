"""A comparison of two windows of traffic in words and as pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from tagdesk.drift import Shift, Verdict
from tagdesk.drift.words import HEAD, left_out, rows, sizes
from tagdesk.report import write_files
from tagdesk.report.canvas import BLUE, GREY, INK, ORANGE, PALE, canvas, drawable, png, tidy, written
from tagdesk.report.markdown import plain

MOST_ROWS = 40  # of a picture
RATES, CHANGES = "rates.png", "changes.png"
_RATES = ("label_rate", "no_label", "out_of_scope")
_MEANINGS = """\
Adjusted p-values make allowance for the many tests: one below the share of false alarms that was asked for is proof. A
change that is proven and smaller than what was said to matter is no drift. Every text counts once in its window. For
scores and lengths the shares are those of the tickets above the value at which the windows differ most; for what
tickets are about, the share of pairs in which the newer ticket is told from the older."""


def write_drift(folder: Path, verdict: Verdict, about: Mapping[str, str]) -> list[Path]:
    """Write `drift.md`, `drift.json` and the pictures for which there is something to show.

    A file is replaced as a whole or not at all; pictures of an earlier report that have no successor are removed.
    Raises UsageError where the folder cannot be written.
    """
    drawn = pictures(verdict)
    document = {"about": dict(about), **verdict.to_dict()}
    contents = {
        "drift.md": markdown(verdict, about, list(drawn)).encode("utf-8", "backslashreplace"),
        "drift.json": (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode(
            "utf-8", "backslashreplace"
        ),
        **{name: png(figure) for name, figure in drawn.items()},
    }
    paths = write_files(folder, contents)
    for name in {RATES, CHANGES} - set(drawn):
        (folder / name).unlink(missing_ok=True)
    return paths


def markdown(verdict: Verdict, about: Mapping[str, str], pictures: Sequence[str]) -> str:
    """The report as Markdown, with links to pictures that lie beside it."""
    parts = [
        "# Whether the traffic has changed",
        plain(f"{verdict.sentence} {sizes(verdict)}"),
        "\n".join(f"- {plain(name)}: {plain(value)}" for name, value in about.items()),
    ]
    if verdict.drifted:
        parts += ["## What drifted", "\n".join(f"- {plain(shift.said)}" for shift in verdict.drifted)]
    if verdict.shifts:
        rule = ["---", *["--:"] * (len(HEAD) - 2), "---"]
        table = (HEAD, rule, *([plain(cell) for cell in row] for row in rows(verdict)))
        parts += ["## What was tested", "\n".join(f"| {' | '.join(cells)} |" for cells in table), _MEANINGS]
    parts += [f"![{name.removesuffix('.png')}]({name})" for name in pictures]
    if verdict.left_out:
        reasons = left_out(verdict).items()
        listed = "\n".join(f"- {plain(', '.join(whats))}: {plain(why)}" for why, whats in reasons)
        parts += ["## What was not", listed]
    return "\n\n".join(parts) + "\n"


def pictures(verdict: Verdict) -> dict[str, Figure]:
    """The pictures by the name of their file."""
    rates = [shift for shift in verdict.shifts if shift.kind in _RATES]
    changes = [shift for shift in verdict.shifts if shift.is_share]
    drawn = {RATES: rate_lines(rates)} if rates else {}
    return drawn | ({CHANGES: change_lines(changes)} if changes else {})


def rate_lines(shifts: Sequence[Shift]) -> Figure:
    """How often each label is given, before and now, the most frequent first."""
    shown = sorted(shifts, key=lambda shift: -max(shift.difference.reference, shift.difference.current))[:MOST_ROWS]
    caption = "Per cent of the tickets. Ring: before. Dot: now; coloured where it drifted."
    figure = _rows(shown, "How often labels are given", caption)
    axes = figure.axes[0]
    for y, shift in enumerate(shown):
        before, now = 100 * shift.difference.reference, 100 * shift.difference.current
        colour = ORANGE if shift.is_drift else GREY
        axes.plot((before, now), (y, y), color=colour, linewidth=1.4, zorder=2)
        axes.plot([before], [y], "o", color=colour, markerfacecolor="white", markersize=7, zorder=3)
        axes.plot([now], [y], "o", color=colour, markersize=7, zorder=3)
    axes.set_xlim(left=0)
    return figure


def change_lines(shifts: Sequence[Shift]) -> Figure:
    """Each change in points with its interval, in the order of the verdict."""
    shown = shifts[:MOST_ROWS]
    caption = "Now minus before, in points, with 95 % intervals. Orange: drifted. Grey: changes too small to matter."
    figure = _rows(shown, "What has changed", caption)
    axes = figure.axes[0]
    axes.axvline(0, color=INK, linewidth=0.8)
    for y, shift in enumerate(shown):
        change, colour = shift.difference, ORANGE if shift.is_drift else BLUE
        axes.barh(y, 200 * shift.smallest, left=-100 * shift.smallest, height=0.8, color=PALE, alpha=0.5, zorder=1)
        axes.plot((100 * change.low, 100 * change.high), (y, y), color=colour, linewidth=1.6, zorder=2)
        axes.plot([100 * change.effect], [y], "o", color=colour, markersize=6, zorder=3)
    return figure


def _rows(shifts: Sequence[Shift], title: str, caption: str) -> Figure:
    """A figure with one line for each shift."""
    figure = canvas(9, 1.6 + 0.32 * max(len(shifts), 2), title, caption)
    figure.set_layout_engine("constrained", h_pad=0.15, w_pad=0.15)
    axes = figure.add_subplot()
    tidy(axes, grid="x")
    axes.set_ylim(len(shifts) - 0.5, -0.5)
    axes.set_yticks(range(len(shifts)), drawable([shift.what for shift in shifts], 48), **written(9))
    return figure
