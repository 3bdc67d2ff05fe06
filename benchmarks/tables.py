"""Writes what a benchmark found as JSON for programs, as a Markdown table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def table(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str] | None = None) -> list[str]:
    """The rows as lines of Markdown.

    Args:
        rows: The figures by name; one that is None is shown as a dash.
        columns: Heading by name of the figures to show; all of the first row's, under their names, where there is none.
    """
    columns = columns or {name: name for name in rows[0]}
    lines = [f"| {' | '.join(columns.values())} |", "|" + "---|" * len(columns)]
    return lines + [f"| {' | '.join(cell(row[name]) for name in columns)} |" for row in rows]


def cell(value: object) -> str:
    """A figure as people read it."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def publish(name: str, result: object, lines: Sequence[str], folder: Path = RESULTS) -> None:
    """Write NAME.json and NAME.md into results/ or another folder, and print the table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
