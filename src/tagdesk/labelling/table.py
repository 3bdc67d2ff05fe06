"""The table of cases that wait: written for a person to fill in, and read back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from tagdesk.dataset import Accepted, open_writer
from tagdesk.dataset.labels import join_labels, parse_labels
from tagdesk.dataset.verdicts import MARK, corrected, mark_of, read_filled_in
from tagdesk.errors import InputError
from tagdesk.labelling.choosing import Waiting
from tagdesk.labelling.found import Found, Handed, Problem
from tagdesk.ticket import Ticket

KIND = "table"
FIELDS = ("case", "suggested_labels", "new_labels", "reason", "text", MARK)
WHO = "reviewer"  # a column that people may add
WROTE = "tagdesk queue --out"


def write_table(path: Path, batch: Sequence[Waiting], *, force: bool = False) -> None:
    """Write cases as a table whose column new_labels somebody fills in; CSV is marked as UTF-8 for spreadsheets."""
    with open_writer(path, FIELDS, force=force, types=dict.fromkeys(FIELDS, str), marked=True) as table:
        for one in batch:
            table.write(
                {
                    "case": one.case.id,
                    "suggested_labels": join_labels(one.suggested),
                    "new_labels": "",
                    "reason": one.reason,
                    "text": one.case.prediction.text,
                    MARK: mark(one.case.id, one.case.prediction.text, one.suggested),
                }
            )


def mark(case: str, text: str, suggested: Collection[str]) -> str:
    """The signs by which a row is known again as this case with this text and this suggestion."""
    return mark_of(Ticket(case, text), (), suggested)


def read_table(path: Path, known: Collection[str]) -> Handed:
    """What a person filled in, also in a table that a spreadsheet saved in its own way.

    Args:
        path: the table.
        known: labels that it may name besides the suggested ones.

    Raises:
        InputError: for a file that is no such table; what is wrong with single rows is told as problems.
    """
    needed = [name for name in FIELDS if name != "reason"]
    read = read_filled_in(path, needed, WROTE)
    problems = [Problem(f"line {row.where}", row.code, row.detail) for row in read.rejected]
    found: list[Found] = []
    blank = 0
    for row in read.accepted:
        if not _cell(row, "new_labels").strip():
            blank += 1
            continue
        try:
            found.append(_found(row, known))
        except (ValueError, InputError) as error:
            problems.append(Problem(f"line {row.where}", getattr(error, "code", "bad_labels"), str(error)))
    return Handed(KIND, tuple(found), tuple(problems), blank)


def _found(row: Accepted, known: Collection[str]) -> Found:
    suggested = parse_labels(_cell(row, "suggested_labels"))
    labels = corrected(
        frozenset(),
        suggested,
        _cell(row, "new_labels"),
        known,
        owner="the model that answers",
        remedy="a new label must be learned first",
    )
    return Found(
        f"line {row.where}",
        _cell(row, "case").strip(),
        labels,
        reviewer=_cell(row, WHO).strip() or None,
        text=_cell(row, "text"),
        suggested=suggested,
        mark=_cell(row, MARK).strip(),
    )


def _cell(row: Accepted, name: str) -> str:
    return str(row.raw.get(name) or "")
