"""Curves over the score: a panel for all labels together and, where they are few, one for each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tagdesk.arrays import FloatArray, IntArray, Probs, Targets
from tagdesk.evaluate import PrecisionRecall, Report, precision_recall, reliability
from tagdesk.report.canvas import BLUE, GREY, INK, ORANGE, PALE, canvas, drawable, tidy, written

_MOST_PANELS = 20  # labels that get a panel each
_ACROSS = 4
_STEPS = np.linspace(0, 1, 400)  # of recall: more cannot be seen
_Z = 1.96  # 95 % of a normal distribution


def precision_recall_curves(report: Report, targets: Targets, probs: Probs) -> Figure:
    """What other thresholds would give, with the chosen one as a mark."""
    figure, panels = _panels(
        report,
        ("recall", "precision"),
        "What other thresholds would give",
        "Recall: share of the true labels that are found. Precision: share of the given labels that are true.\n"
        "Diamond: the thresholds in use. AP: average precision. Grey: the middle 80% of the labels.",
    )
    curves = {int(i): precision_recall(targets[:, i], probs[:, i]) for i in np.flatnonzero(targets.any(axis=0))}
    for axes, label in panels:
        if label is None:
            _spread(axes, list(curves.values()))
            _steps(axes, precision_recall(targets.ravel(), probs.ravel()), BLUE, 2)
            _mark(axes, report.recall_micro, report.precision_micro)
            _note(axes, "mean AP", report.average_precision_macro)
            continue
        figures = report.per_label[report.names[label]]
        if label in curves:
            _steps(axes, curves[label], BLUE, 2)
        _mark(axes, figures.recall, figures.precision)
        _note(axes, "AP", figures.average_precision)
    return figure


def reliability_diagram(report: Report, targets: Targets, probs: Probs) -> Figure:
    """Whether a score of 0.8 is right in 8 of 10 tickets."""
    figure, panels = _panels(
        report,
        ("mean score", "share true"),
        "Whether scores can be taken at their word",
        "A point is a tenth of the scale with a 95% interval; on the dotted line scores are right on average.\n"
        "Bars: share of the tickets with such a score. ECE: expected calibration error.",
    )
    for axes, label in panels:
        columns = slice(None) if label is None else slice(label, label + 1)
        curve = reliability(targets[:, columns].reshape(-1, 1), probs[:, columns].reshape(-1, 1))
        count, predicted, positive = curve.count[0], curve.predicted[0], curve.positive[0]
        axes.bar((np.arange(len(count)) + 0.5) / len(count), count / count.sum(), width=0.09, color=PALE)
        axes.plot((0, 1), (0, 1), ":", color=GREY, linewidth=1)
        some = count > 0
        low, high = _wilson(positive[some], count[some])
        axes.vlines(predicted[some], low, high, color=BLUE, alpha=0.45, linewidth=1.5)
        axes.plot(predicted[some], positive[some], "o-", color=BLUE, markersize=4, linewidth=1.3)
        if label is None:
            _note(axes, "mean ECE", report.ece)
        else:
            _note(axes, "ECE", report.per_label[report.names[label]].ece)
    return figure


def _panels(
    report: Report, axis_names: tuple[str, str], title: str, caption: str
) -> tuple[Figure, list[tuple[Axes, int | None]]]:
    """A figure with its panels, each with the label that it is for; None is all."""
    size = len(report.names)
    labels: list[int | None] = [0] if size == 1 else [None, *(range(size) if size <= _MOST_PANELS else ())]
    across = min(_ACROSS, len(labels))
    side = 2.1 if across > 1 else 5.0  # inches
    figure = canvas(across * (side + 0.45) + 0.6, math.ceil(len(labels) / across) * (side + 0.8) + 1.4, title, caption)
    names = drawable(report.names, 24)
    panels = []
    for place, label in enumerate(labels):
        row, column = divmod(place, across)
        axes = figure.add_axes(_box(figure, 0.75 + column * (side + 0.45), 1.1 + row * (side + 0.8), side))
        tidy(axes)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.05), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axes.set_title("All labels" if label is None else names[label], pad=16, **written(9.5))
        if place + across >= len(labels):
            axes.set_xlabel(axis_names[0], fontsize=8.5, color=INK)
        if column == 0:
            axes.set_ylabel(axis_names[1], fontsize=8.5, color=INK)
        panels.append((axes, label))
    return figure, panels


def _box(figure: Figure, left: float, top: float, side: float) -> tuple[float, float, float, float]:
    """A square given in inches from the left and the top, in shares of the figure."""
    width, height = figure.get_size_inches()
    return left / width, 1 - (top + side) / height, side / width, side / height


def _steps(axes: Axes, curve: PrecisionRecall, colour: str, width: float) -> None:
    points = np.unique(np.searchsorted(-curve.recall, -_STEPS))
    # Recall falls along the curve, and the precision of a point holds until the next.
    axes.plot(curve.recall[points], curve.precision[points], drawstyle="steps-post", color=colour, linewidth=width)


def _spread(axes: Axes, curves: list[PrecisionRecall]) -> None:
    precisions = [np.interp(_STEPS, curve.recall[::-1], curve.precision[::-1]) for curve in curves]
    axes.fill_between(_STEPS, *np.quantile(precisions, (0.1, 0.9), axis=0), color=PALE, alpha=0.6, linewidth=0)


def _mark(axes: Axes, recall: float | None, precision: float | None) -> None:
    if recall is not None and precision is not None:
        axes.plot(recall, precision, "D", color=ORANGE, markersize=6, markeredgecolor="white", zorder=3)


def _note(axes: Axes, what: str, figure: float | None) -> None:
    text = f"{what} undefined" if figure is None else f"{what} {figure:.2f}"
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(text, (0.5, 1), (0, 4), ha="center", fontsize=8.5, color=GREY, **place)


def _wilson(share: FloatArray, count: IntArray) -> tuple[FloatArray, FloatArray]:
    """Wilson's interval of a share of `count`, which stays within 0..1 for few tickets too."""
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return middle - half, middle + half
