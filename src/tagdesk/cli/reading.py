"""Reads files for commands that need all their tickets, and says which rows were left out."""

from __future__ import annotations

from collections import Counter

import typer

from tagdesk.cli import screen
from tagdesk.dataset import File, ReadResult

__all__ = ["FINISHED_WITH_REJECTS", "File", "end", "read"]

FINISHED_WITH_REJECTS = 5
SHOWN = 5  # rejected rows that are named


def read(file: File) -> ReadResult:
    """All rows of a file; notes on stderr how many were rejected, and why."""
    result = file.read()
    if result.rejected:
        reasons = ", ".join(f"{count} {code}" for code, count in Counter(r.code for r in result.rejected).most_common())
        places = ", ".join(str(row.where) for row in result.rejected[:SHOWN])
        more = ", ..." if len(result.rejected) > SHOWN else ""
        screen.note(
            f"{file.path.name}: {len(result.rejected)} of {result.read} rows rejected ({reasons}; lines {places}{more}). "
            f"`tagdesk check {file.path}` lists them."
        )
    return result


def end(*results: ReadResult) -> None:
    """End the command with exit code 5 where rows were rejected."""
    if any(result.rejected for result in results):
        raise typer.Exit(FINISHED_WITH_REJECTS)
