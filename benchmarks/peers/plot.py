"""Draws how good the labels of each peer are against how fast it gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peers.tasks import SEED_TICKETS
from tagdesk.report.canvas import BLUE, GREY, canvas, png, tidy, written

OURS = "tagdesk"  # how the names of our own begin


def drawn(result: Mapping[str, Any]) -> bytes | None:
    """A point for each peer of which both are known, as PNG; None where there is none."""
    points = {
        row["peer"]: (result["speed"][f"{row['peer']} | tickets"]["median"], row["f1_macro"])
        for row in result["quality"].values()
        if row["task"] == SEED_TICKETS and f"{row['peer']} | tickets" in result["speed"]
    }
    if not points:
        return None
    figure = canvas(7.5, 4.5, "Quality and speed", f"tickets a second, {result['machine']['threads']} threads")
    axes = figure.add_axes((0.1, 0.16, 0.84, 0.72))
    axes.set_xscale("log")
    for name, (rate, quality) in points.items():
        color = BLUE if name.startswith(OURS) else GREY
        axes.plot(rate, quality, "o", color=color)
        axes.annotate(name, (rate, quality), xytext=(6, 4), textcoords="offset points", **written(8))
    axes.margins(x=0.25, y=0.15)
    axes.set_ylabel("F1 macro on the reference tickets", fontsize=8.5, color=GREY)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(which="minor", length=0)
    tidy(axes)
    return png(figure)
