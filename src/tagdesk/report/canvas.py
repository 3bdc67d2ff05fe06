"""The look that all plots of a report share."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

# Okabe and Ito's palette, which people with any common colour blindness can tell apart.
BLUE, ORANGE, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
INK, GREY, PALE = "#222222", "#6b6b6b", "#d9d9d9"
# The first comes with matplotlib; the others draw scripts that it lacks, where they are installed.
_FONTS = (
    "DejaVu Sans",
    "Noto Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "WenQuanYi Zen Hei",
    "Arial Unicode MS",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
)
_INVISIBLE = ("Cc", "Cf", "Cs")
_DOTS_PER_INCH = 150


def canvas(width: float, height: float, title: str, caption: str) -> Figure:
    """An empty figure, in inches, with a heading above and an explanation below."""
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=13, fontweight="bold", color=INK)
    figure.supxlabel(caption, fontsize=8.5, color=GREY)
    return figure


def tidy(axes: Axes, *, grid: Literal["both", "x"] = "both") -> None:
    """Take away the lines that carry nothing."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(colors=GREY, labelsize=8, length=0)
    axes.grid(axis=grid, color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)


def written(size: float) -> dict[str, Any]:
    """How names are written: as they are, never as formulas."""
    return {"fontsize": size, "color": INK, "fontfamily": _families(), "parse_math": False}


def png(figure: Figure) -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return stream.getvalue()


def drawable(names: Sequence[str], width: int) -> list[str]:
    """The names as plots show them: at most `width` characters, and only characters that some font can draw.

    The middle of a long name is left out, as names that differ often do so at an end. A name that no font can draw
    whole is told by its number.

    >>> drawable(["Billing", "Access to the account of a customer", chr(0xE000)], 16)
    ['Billing', 'Access t…ustomer', 'label 3: □']
    """
    return [_drawable(name, number, width) for number, name in enumerate(names, start=1)]


def _families() -> list[str]:
    """Those of the fonts that are installed; a later one serves where the earlier lack a character."""
    installed = {font.name for font in fontManager.ttflist}
    return [family for family in _FONTS if family in installed]


def _drawable(name: str, number: int, width: int) -> str:
    shown, whole = "", True
    for character in name:
        if ord(character) in _characters():
            shown += character
        elif unicodedata.category(character) not in _INVISIBLE:
            shown, whole = shown + "\N{WHITE SQUARE}", False
    shown = shown if whole and shown.strip() else f"label {number}: {shown}"
    if len(shown) <= width:
        return shown
    tail = (width - 1) // 2
    return f"{shown[: width - 1 - tail]}…{shown[-tail:]}"


@cache
def _characters() -> frozenset[int]:
    paths = [findfont(FontProperties(family=[family])) for family in _families()]
    return frozenset(code for path in paths for code in get_font(path).get_charmap())
