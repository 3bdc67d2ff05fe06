"""Writes what a search has found: the recipe, a report for people, figures for programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from tagdesk.dataset.draft import draft
from tagdesk.errors import UsageError
from tagdesk.report.markdown import plain
from tagdesk.tune.found import Found, Row
from tagdesk.tune.page import page
from tagdesk.tune.plan import FOLDS
from tagdesk.tune.sections import Section, sections
from tagdesk.tune.space import RECIPE
from tagdesk.tune.study import OpenStudy

_NUMBERS = "0123456789-"


def write(found: Found, opened: OpenStudy, folder: Path, title: str) -> list[Path]:
    """Write recipe.toml, best.toml, trials.csv, report.md, summary.json and report.html, each whole or not at all.

    Args:
        found: what the search has found.
        opened: the study, for its pictures.
        folder: made where it does not exist.
        title: heads the report.

    Raises:
        UsageError: if the folder cannot be written.
    """
    parts = sections(found)
    summary = json.dumps({"title": title, **found.to_dict()}, indent=2, ensure_ascii=False, allow_nan=False)
    contents = {
        "recipe.toml": _recipe(found, is_best=False),
        "best.toml": _recipe(found, is_best=True),
        "trials.csv": _table(found.rows),
        "report.md": markdown(title, parts),
        "summary.json": summary + "\n",
        "report.html": page(title, parts, opened.study, found.objective),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with draft(folder / name, force=True) as file:
                # Half a surrogate pair, which UTF-8 lacks, may stand in the name of a file.
                file.write(content.encode("utf-8", errors="backslashreplace"))
    except OSError as error:
        raise UsageError(
            f"{folder}: the result cannot be written here: {error.strerror}. Name another --out.", code="unwritable"
        ) from error
    return [folder / name for name in contents]


def markdown(title: str, parts: list[Section]) -> str:
    r"""A report as Markdown.

    >>> print(markdown("A <b> title", [Section("Labels", ["Two."], ("label", "tickets"), [("a|b", "2")])]), end="")
    # A \<b\> title
    <BLANKLINE>
    ## Labels
    <BLANKLINE>
    Two.
    <BLANKLINE>
    | label | tickets |
    | --- | --: |
    | a\|b | 2 |
    """
    blocks = [f"# {plain(title)}"]
    for part in parts:
        blocks += [f"## {part.title}", *map(plain, part.text)]
        if part.rows:
            rule = ["--:" if _is_numbers(column) else "---" for column in zip(*part.rows, strict=True)]
            rows = [[plain(cell) for cell in row] for row in (part.head, *part.rows)]
            lines = [rows[0], rule, *rows[1:]]
            blocks.append("\n".join(f"| {' | '.join(cells)} |" for cells in lines))
    return "\n\n".join(blocks) + "\n"


def _is_numbers(column: tuple[str, ...]) -> bool:
    return all(cell[:1] in _NUMBERS for cell in column)


def _recipe(found: Found, *, is_best: bool) -> str:
    """A recipe file that says where it comes from."""
    judged = found.best if is_best else found.chosen
    kind = f"the {judged.row.start} recipe as it comes" if judged.row.start else f"trial {judged.row.number}"
    value = "" if judged.outer is None else f", {found.objective} {judged.outer:.3f} on tickets kept from the search"
    return f"# From a search: {kind}{value}.\n{judged.recipe.to_toml()}"


def _table(rows: tuple[Row, ...]) -> str:
    """All trials as CSV, one column for each setting."""
    settings = list(dict.fromkeys(name for row in rows for name in row.parameters if name != RECIPE))
    steps = [f"after_{fold}_folds" for fold in range(2, FOLDS + 1)]
    head = ["trial", "state", "value", "recipe", "as_it_comes", "seconds", "latency_ms", *steps, *settings, "reason"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        reported = [row.steps[place] if place < len(row.steps) else None for place in range(len(steps))]
        cells: list[Any] = [row.number, row.state, row.value, row.parameters.get(RECIPE), row.start is not None]
        cells += [row.seconds, row.latency_ms, *reported, *(row.parameters.get(name) for name in settings), row.reason]
        writer.writerow(["" if cell is None else cell for cell in cells])
    return text.getvalue()
