"""Draws the learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from active.simulation import DEFAULT, RANDOM
from tagdesk.report.canvas import BLUE, GREY, ORANGE, canvas, png, tidy, written

GOAL = 0.95  # of the macro F1 that all labels of the pool give


def drawn(results: Sequence[dict[str, Any]]) -> bytes:
    """The learning curves as PNG: means over seeds, and the range between the lowest and the highest."""
    figure = canvas(3.9 * len(results) + 0.4, 3.6, "What labels are worth", "labelled tickets")
    for number, result in enumerate(results):
        axes = figure.add_axes((0.07 + 0.93 * number / len(results), 0.19, 0.82 / len(results), 0.64))
        for way, color in ((RANDOM, GREY), (DEFAULT, BLUE)):
            curves = [(np.array(labels), np.array(f1)) for labels, f1 in result["curves"].get(way, [])]
            if curves:
                grid = np.geomspace(curves[0][0][0], min(labels[-1] for labels, _ in curves), 100)
                values = np.array([np.interp(grid, *curve) for curve in curves])
                axes.plot(grid, values.mean(axis=0), color=color, label=way)
                axes.fill_between(grid, values.min(axis=0), values.max(axis=0), color=color, alpha=0.2, linewidth=0)
        axes.axhline(GOAL * result["f1_macro_of_all"], color=ORANGE, linewidth=0.8, linestyle="--")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_formatter("")
        axes.tick_params(which="minor", length=0)
        axes.set_title(f"{result['task']}, {result['texts']['pool']:,} tickets", **written(9))
        if number == 0:
            axes.set_ylabel("macro F1; dashed: 95 % of all labels'", fontsize=8, color=GREY)
            axes.legend(frameon=False, fontsize=8)
        tidy(axes)
    return png(figure)
