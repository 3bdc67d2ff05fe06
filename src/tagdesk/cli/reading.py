"""Reads files for commands that need all their tickets, and says which rows were left out."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import typer

from tagdesk.cli import screen
from tagdesk.dataset import File, ReadResult
from tagdesk.errors import UsageError

__all__ = ["FINISHED_WITH_REJECTS", "File", "end", "read", "refuse_folder"]

FINISHED_WITH_REJECTS = 5
SHOWN = 5  # rejected rows that are named


def read(file: File) -> ReadResult:
    """All rows of a file; notes on stderr how many were rejected, and why."""
    result = file.read()
    if result.rejected:
        reasons = ", ".join(
            f"{count:,} {code}" for code, count in Counter(r.code for r in result.rejected).most_common()
        )
        places = ", ".join(str(row.where) for row in result.rejected[:SHOWN])
        more = ", ..." if len(result.rejected) > SHOWN else ""
        screen.note(
            f"{file.path.name}: {len(result.rejected):,} of {result.read:,} rows rejected ({reasons}; "
            f"lines {places}{more}). `tagdesk check {file.path}` lists them."
        )
    return result


def end(*results: ReadResult) -> None:
    """End the command with exit code 5 where rows were rejected."""
    if any(result.rejected for result in results):
        raise typer.Exit(FINISHED_WITH_REJECTS)


def refuse_folder(folder: Path) -> None:
    """Raise UsageError, before any work is done, for a folder that cannot be made or written."""
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        is_writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    except (OSError, ValueError):  # a name that no folder can have
        is_writable = False
    if not is_writable:
        raise UsageError(
            f"{str(folder)[:200]!r}: nothing can be written here. Name a folder that can be made or written.",
            code="unwritable",
        )
