"""The table of findings: written for a person to fill in, and read back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tagdesk.audit import Audit
from tagdesk.dataset import Accepted, open_writer
from tagdesk.dataset.labels import join_labels, parse_labels
from tagdesk.dataset.verdicts import ACCEPT, NO_LABEL, corrected, mark_of, read_filled_in
from tagdesk.errors import InputError

__all__ = [
    "ACCEPT",
    "FIELDS",
    "NO_LABEL",
    "Verdict",
    "corrected",
    "mark_of",
    "read_verdicts",
    "write_table",
]

FIELDS = ("row", "id", "labels", "suggested_labels", "new_labels", "doubt", "reason", "text", "mark")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person decided for one row of the audited file, and what that row was then.

    Attributes:
        row: its number.
        before, suggested: its labels, and those that the audit suggested.
        after: the labels that it shall have.
        mark: tells whether a row is that one, see `mark_of`; spreadsheets change ids and texts, but not this.
    """

    row: int
    before: frozenset[str]
    suggested: frozenset[str]
    after: frozenset[str]
    mark: str


def write_table(path: Path, found: Audit, rows: Sequence[Accepted], *, force: bool, inputs: Sequence[Path]) -> None:
    """Write the findings, the most doubtful first; `rows` are the audited ones, in their order."""
    types = {"row": int, "doubt": float}
    with open_writer(path, FIELDS, force=force, inputs=inputs, types=types, marked=True) as table:
        for finding in found.findings:
            row = rows[finding.place]
            table.write(
                {
                    "row": row.number,
                    "id": row.ticket.id,
                    "labels": join_labels(finding.labels),
                    "suggested_labels": join_labels(finding.suggested),
                    "new_labels": "",
                    "doubt": round(finding.doubt, 3),
                    "reason": "; ".join(finding.reasons),
                    "text": row.ticket.text,
                    "mark": mark_of(row.ticket, finding.labels, finding.suggested),
                }
            )


def read_verdicts(path: Path, known: Collection[str]) -> list[Verdict]:
    """The verdicts in a table that a person filled in, also one that a spreadsheet saved in its own way.

    `known` are the labels that a verdict may name besides those that were suggested. Raises InputError, with the line,
    for a table that is none, a row that cannot be read, a verdict that cannot, and two verdicts for one row.
    """
    read = read_filled_in(path, FIELDS, "tagdesk audit")
    if read.rejected:
        lines = ", ".join(str(row.where) for row in read.rejected[:5])
        raise InputError(
            f"{path}: {len(read.rejected)} rows cannot be read (lines {lines}). Restore them from the table that the "
            "audit wrote; a verdict in them would be lost.",
            code="bad_table",
        )
    verdicts: dict[int, Verdict] = {}
    for row in read.accepted:
        verdict = _verdict(path, row, known)
        if verdict is None:
            continue
        if verdicts.setdefault(verdict.row, verdict).after != verdict.after:
            raise InputError(f"{path}, line {row.where}: another verdict for row {verdict.row}.", code="bad_table")
    return list(verdicts.values())


def _verdict(path: Path, row: Accepted, known: Collection[str]) -> Verdict | None:
    cells = {name: str(row.raw.get(name) or "") for name in FIELDS}
    if not cells["new_labels"].strip():
        return None
    number = cells["row"].strip().removesuffix(".0")
    if not number.isdecimal() or len(number) > 18:
        raise InputError(
            f"{path}, line {row.where}: {cells['row'][:40]!r} is no row number. Leave that column as it was.",
            code="bad_table",
        )
    try:
        before, suggested = parse_labels(cells["labels"]), parse_labels(cells["suggested_labels"])
        after = corrected(before, suggested, cells["new_labels"], known)
    except (ValueError, InputError) as error:
        raise InputError(f"{path}, line {row.where}: {error}", code=getattr(error, "code", "bad_labels")) from error
    return Verdict(int(number), before, suggested, after, cells["mark"].strip())
