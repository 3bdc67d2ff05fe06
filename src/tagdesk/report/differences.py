"""A comparison of two models in words and as a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tagdesk.compare import Difference, LabelDifference, McNemar, Verdict
from tagdesk.report import write_files
from tagdesk.report.canvas import BLUE, GREY, INK, ORANGE, canvas, drawable, png, tidy, written
from tagdesk.report.markdown import plain

MOST_ROWS = 40  # of the picture
PICTURE = "differences.png"


def write_comparison(
    folder: Path,
    verdict: Verdict,
    figures: Sequence[Difference],
    labels: Sequence[LabelDifference],
    swaps: McNemar,
    about: Mapping[str, str],
) -> list[Path]:
    """Write `comparison.md`, `comparison.json` and the picture, as `write_report` writes its files."""
    document = {"about": dict(about), **as_document(verdict, figures, labels, swaps)}
    picture = difference_bars([*figures, *(label.f1 for label in labels)])
    return write_files(
        folder,
        {
            "comparison.md": _markdown(verdict, figures, labels, swaps, about).encode("utf-8", "backslashreplace"),
            "comparison.json": (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode(
                "utf-8", "backslashreplace"
            ),
            PICTURE: png(picture),
        },
    )


def as_document(
    verdict: Verdict, figures: Sequence[Difference], labels: Sequence[LabelDifference], swaps: McNemar
) -> dict[str, Any]:
    """A comparison as JSON holds it."""
    return {
        "verdict": verdict.to_dict(),
        "figures": [one.to_dict() for one in figures],
        "only_current_right": swaps.only_current,
        "only_challenger_right": swaps.only_challenger,
        "mcnemar_p": swaps.p,
        "labels": [
            {"label": one.label, "tickets": one.support, "f1": one.f1.to_dict(), "recall": one.recall.to_dict()}
            for one in labels
        ],
    }


def difference_bars(differences: Sequence[Difference]) -> Figure:
    """Each difference in points with its interval, better to the right."""
    rows = [one for one in differences if one.gain is not None][:MOST_ROWS]
    caption = "Challenger minus current, in points, with 95 % intervals. Right of the line the challenger is better."
    figure = canvas(9, 1.6 + 0.32 * max(len(rows), 1), "What changes", caption)
    figure.set_layout_engine("constrained", h_pad=0.15, w_pad=0.15)
    axes = figure.add_subplot()
    tidy(axes, grid="x")
    axes.axvline(0, color=INK, linewidth=0.8)
    for y, one in enumerate(rows):
        low, high = one.gain or (0.0, 0.0)
        value = -(one.value or 0.0) if one.figure.lower_is_better else (one.value or 0.0)
        shown = (low > 0 or high < 0) and not one.doubt
        colour = GREY if not shown else BLUE if low > 0 else ORANGE
        axes.plot((100 * low, 100 * high), (y, y), color=colour, linewidth=1.6)
        axes.plot([100 * value], [y], "o", color=colour, markersize=6)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), drawable([one.figure.words for one in rows], 48), **written(9))
    return figure


def _markdown(
    verdict: Verdict,
    figures: Sequence[Difference],
    labels: Sequence[LabelDifference],
    swaps: McNemar,
    about: Mapping[str, str],
) -> str:
    lines = ["# Two models on the same tickets", "", plain(verdict.sentence), ""]
    lines += [f"- {plain(name)}: {plain(value)}" for name, value in about.items()]
    exact = f"only the current model: {swaps.only_current:,}; only the challenger: {swaps.only_challenger:,}"
    lines += [
        f"- gets exactly right what the other does not, {exact} (McNemar's exact test: p = {swaps.p:.3g})",
        "",
        "| | current | challenger | difference |",
        "|---|---|---|---|",
        *(_row(one) for one in figures),
        "",
        f"![differences]({PICTURE})",
        "",
        "Per label; what chance brings about among so many questions is said to be so.",
        "",
        "| label | tickets | F1, current | F1, challenger | difference |",
        "|---|---|---|---|---|",
        *(
            f"| {plain(one.label)} | {one.support:,} | {_number(one.f1.current)} | {_number(one.f1.challenger)} | "
            f"{plain(_said(one.f1))} |"
            for one in labels
        ),
        "",
    ]
    return "\n".join(lines)


def _row(one: Difference) -> str:
    cells = one.figure.words, _number(one.current), _number(one.challenger), _said(one)
    return f"| {' | '.join(plain(cell) for cell in cells)} |"


def _said(one: Difference) -> str:
    interval = one.words.removeprefix(f"{one.figure.words} ").removeprefix(f"{one.figure.words}: ")
    return f"{interval}; {one.doubt}" if one.doubt else interval


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
