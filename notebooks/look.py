"""Draws what the notebooks show, in the look of the project's reports."""

from __future__ import annotations

import html
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from tagdesk.arrays import FloatArray
from tagdesk.report.canvas import BLUE, GREY, INK, ORANGE, PALE, PURPLE, canvas, drawable, tidy, written

__all__ = ["BLUE", "GREEN", "GREY", "INK", "LESS_MORE", "ORANGE", "PALE", "PURPLE", "bars", "cards", "heat", "panels"]
__all__ += ["interval", "spread"]

GREEN = "#009E73"
LESS_MORE = LinearSegmentedColormap.from_list("less to more", [ORANGE, "#ffffff", BLUE])
_LONGEST = 420  # characters of a text that a card shows
_CELL = "text-align:left;vertical-align:top;padding:6px 10px"
_Z = 1.96  # 95 % of a normal distribution

warnings.filterwarnings("ignore", "IProgress not found")  # of progress bars that the notebooks do without


def panels(
    title: str, caption: str, size: tuple[float, float], shape: tuple[int, int] = (1, 1), **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of the given size in inches with rows and columns of axes, as a flat list.

    `options` go to matplotlib's `Figure.subplots`, such as `sharex` or `width_ratios`.
    """
    figure = canvas(*size, title, caption)
    figure.set_layout_engine("constrained", h_pad=0.08, w_pad=0.1)
    found = list(figure.subplots(*shape, squeeze=False, **options).flat)
    for axes in found:
        tidy(axes)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set(fontsize=8.5, color=INK)
    return figure, found


def bars(axes: Axes, parts: Mapping[str, Sequence[float]], names: Sequence[str], colours: Sequence[str]) -> None:
    """Horizontal bars, the first name at the top, each made of parts that add up; its sum stands at its end."""
    rows = np.arange(len(names))
    start = np.zeros(len(names))
    for (part, widths), colour in zip(parts.items(), colours, strict=True):
        axes.barh(rows, widths, left=start, height=0.72, color=colour, label=part, edgecolor="white", linewidth=0.6)
        start += np.asarray(widths)
    for row, total in zip(rows, start, strict=True):
        axes.annotate(f"{total:,.0f}", (total, row), (4, 0), textcoords="offset points", va="center", **_note())
    axes.set_yticks(rows, drawable(names, 40), **written(9))
    axes.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, start.max() * 1.1))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", visible=False)
    if len(parts) > 1:
        axes.legend(loc="lower right", frameon=False, fontsize=8.5)


def heat(  # noqa: PLR0913 - a matrix, its names, how it is coloured
    axes: Axes,
    values: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    words: Sequence[Sequence[str]],
    cmap: Any = "Blues",
    bounds: tuple[float, float] | None = None,
) -> None:
    """A matrix as colours with words in its cells; NaN stays grey."""
    shown = np.ma.masked_invalid(np.asarray(values, dtype=np.float64))
    low, high = bounds or (float(shown.min()), float(shown.max()))
    axes.set_facecolor("#f4f4f4")
    image = axes.imshow(shown, cmap=cmap, vmin=low, vmax=high, aspect="auto")
    axes.set_yticks(range(len(rows)), drawable(rows, 40), **written(8.5))
    axes.set_xticks(range(len(columns)), drawable(columns, 24), rotation=40, ha="right", **written(8.5))
    axes.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
    axes.grid(visible=False)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(shown.filled(np.nan)):
        red, green, blue, _ = image.cmap(image.norm(value))
        is_dark = np.isfinite(value) and 0.3 * red + 0.59 * green + 0.11 * blue < 0.55
        colour = "white" if is_dark else INK
        axes.text(column, row, words[row][column], ha="center", va="center", fontsize=8, color=colour)


def interval(right: ArrayLike, count: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Wilson's 95 % interval of the share `right / count`, element by element."""
    n = np.asarray(count, dtype=np.float64)
    share = np.asarray(right) / n
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return middle - half, middle + half


def spread(axes: Axes, names: Sequence[str], middle: ArrayLike, ends: tuple[ArrayLike, ArrayLike]) -> None:
    """A dot with its interval for each name, the first at the top."""
    rows = np.arange(len(names))
    axes.hlines(rows, *ends, color=BLUE, alpha=0.35, linewidth=4)
    axes.plot(middle, rows, "o", color=BLUE, markersize=6, markeredgecolor="white", clip_on=False)
    axes.set_yticks(rows, drawable(names, 40), **written(9))
    axes.set(ylim=(len(names) - 0.4, -0.6))


def cards(rows: Sequence[Mapping[str, str | float | Collection[str]]]) -> HTML:
    """Tickets as a table that a browser shows: texts as they are, collections of labels as coloured tags."""
    heads = "".join(f'<th style="{_CELL}">{html.escape(name)}</th>' for name in rows[0]) if rows else ""
    body = "".join("<tr>" + "".join(map(_cell, row.values())) + "</tr>" for row in rows)
    return HTML(f'<table style="max-width:60em"><tr>{heads}</tr>{body}</table>')


def _cell(value: str | float | Collection[str]) -> str:
    if isinstance(value, str):
        text = value if len(value) <= _LONGEST else f"{value[:_LONGEST]} …"
        return f'<td style="{_CELL};white-space:pre-wrap;overflow-wrap:anywhere">{html.escape(text)}</td>'
    if isinstance(value, int | float):
        return f'<td style="{_CELL}">{value:.2f}</td>'
    return f'<td style="{_CELL};white-space:nowrap">{"<br>".join(map(_tag, value)) or _tag("")}</td>'


def _tag(label: str) -> str:
    colour, ink, word = (BLUE, "white", label) if label else (PALE, INK, "none")
    style = f"background:{colour};color:{ink};border-radius:4px;padding:1px 7px;font-size:85%;line-height:1.8"
    return f'<span style="{style}">{html.escape(word)}</span>'


def _note() -> dict[str, Any]:
    return {"fontsize": 8, "color": GREY}
