"""The pictures of a report, by the name of their file."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tagdesk.arrays import Probs, Targets
from tagdesk.evaluate import LabelFigures, Report
from tagdesk.report.canvas import BLUE, GREY, INK, ORANGE, PURPLE, canvas, drawable, tidy, written
from tagdesk.report.curves import precision_recall_curves, reliability_diagram

_ROOMY = 20  # labels up to which rows and cells are large
_MOST_ROWS = 90  # bars; of more labels the weakest are shown
_MOST_CELLS = 80  # rows of the heat map; of more labels the most frequent are shown


def plots(report: Report, targets: Targets, probs: Probs) -> dict[str, Figure]:
    """All pictures that the tickets have something to show in; `targets` and `probs` hold the labelled tickets."""
    drawn: dict[str, Figure] = {}
    if any(label.f1 is not None for label in report.per_label.values()):
        drawn["labels.png"] = label_bars(report)
    if targets.any():
        drawn["precision_recall.png"] = precision_recall_curves(report, targets, probs)
    if len(targets):
        drawn["reliability.png"] = reliability_diagram(report, targets, probs)
    if report.together():
        drawn["cooccurrence.png"] = cooccurrence_map(report)
    return drawn


def label_bars(report: Report) -> Figure:
    """F1 of each label with its interval, best first, with precision and recall as marks."""
    rows = [(name, report.per_label[name]) for name in report.names if report.per_label[name].f1 is not None]
    too_many = len(rows) > _MOST_ROWS
    rows = sorted(rows, key=lambda row: -(row[1].f1 or 0))[-_MOST_ROWS:]
    roomy = len(rows) <= _ROOMY
    caption = f"Thin line: {report.confidence:.0%} interval of F1. n: tickets that truly have the label."
    caption += f" The {_MOST_ROWS} weakest labels are shown." if too_many else ""
    figure = canvas(9, 1.55 + len(rows) * (0.42 if roomy else 0.2), "How well each label is recognised", caption)
    figure.set_layout_engine("constrained", h_pad=0.15, w_pad=0.15)
    axes = figure.add_subplot()
    _bars(axes, [label for _, label in rows])
    shown = dict(zip(report.names, drawable(report.names, 44), strict=True))
    axes.set_yticks(range(len(rows)), [shown[name] for name, _ in rows], **written(9 if roomy else 7))
    for y, (_, label) in enumerate(rows):
        place = axes.get_yaxis_transform()  # across in shares of the axes, down in rows
        size = 8 if roomy else 6.5
        axes.text(1.015, y, f"n = {label.support:,}", transform=place, va="center", fontsize=size, color=GREY)
    return figure


def _bars(axes: Axes, labels: list[LabelFigures]) -> None:
    rows = np.arange(len(labels))
    values = {
        kind: np.array([getattr(label, kind) for label in labels], dtype=np.float64)
        for kind in ("f1", "precision", "recall")
    }
    tidy(axes, grid="x")
    axes.set(xlim=(0, 1.0), ylim=(len(labels) - 0.4, -0.6), xticks=np.linspace(0, 1, 6))
    bars = axes.barh(rows, values["f1"], height=0.62, color=BLUE, alpha=0.35, label="F1")
    intervals = [(row, label.f1_interval) for row, label in enumerate(labels) if label.f1_interval]
    for row, interval in intervals:
        axes.plot(interval, (row, row), color=BLUE, linewidth=1.4)
    size = 6 if len(labels) <= _ROOMY else 4
    look: dict[str, Any] = {"markersize": size, "markeredgecolor": "white", "clip_on": False, "zorder": 3}
    (precision,) = axes.plot(values["precision"], rows, "D", color=ORANGE, label="precision", **look)
    (recall,) = axes.plot(values["recall"], rows, "o", color=PURPLE, label="recall", **look)
    handles = [bars, precision, recall]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=9)


def cooccurrence_map(report: Report) -> Figure:
    """Which labels the same tickets have: of the row's tickets, the share that also has the column's label."""
    counts = np.array(report.cooccurrence)
    kept = np.sort(np.argsort(-counts.diagonal(), kind="stable")[:_MOST_CELLS])
    counts = counts[np.ix_(kept, kept)]
    size = len(kept)
    roomy = size <= _ROOMY
    cell = 0.62 if roomy else 0.19
    caption = "Colour: of the row's tickets, the share that also has the column's label."
    caption += " Numbers: tickets." if roomy else ""
    caption += f"\nThe {size} most frequent labels are shown." if size < len(report.names) else ""
    figure = canvas(3.4 + size * cell, 3 + size * cell, "Labels that go together", caption)
    figure.set_layout_engine("constrained", h_pad=0.15, w_pad=0.15)
    axes = figure.add_subplot()
    support = counts.diagonal()[:, None]
    shares = np.where(np.eye(size, dtype=bool) | (support == 0), np.nan, counts / np.maximum(support, 1))
    axes.set_facecolor("#f2f2f2")
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=max(0.05, float(np.nanmax(shares))))
    shown = drawable(report.names, 30)
    names = [shown[i] for i in kept]
    axes.set_yticks(range(size), names, **written(9 if roomy else 6.5))
    axes.set_xticks(range(size), names, rotation=90 if size > 6 else 40, **written(9 if roomy else 6.5))
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_visible(False)
    whole = MaxNLocator(5, steps=(1, 2, 5, 10))  # ticks at whole per cents, as that is how they are written
    bar = figure.colorbar(image, ax=axes, shrink=0.5, ticks=whole, format=lambda share, _: f"{share:.0%}")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, colors=GREY)
    if roomy:
        _numbers(axes, counts, shares / image.norm.vmax)
    return figure


def _numbers(axes: Axes, counts: Any, darkness: Any) -> None:
    for (row, column), tickets in np.ndenumerate(counts):
        colour = GREY if row == column else "white" if darkness[row, column] > 0.6 else INK
        axes.text(column, row, f"{tickets:,}", ha="center", va="center", fontsize=8, color=colour)
