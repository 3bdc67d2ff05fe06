"""Writes audited tickets with the labels that a person decided on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tagdesk.audit.table import Verdict, mark_of
from tagdesk.dataset import Accepted, ReadResult, RejectsWriter, open_writer
from tagdesk.dataset.kinds import kind_of
from tagdesk.dataset.writer import refuse_mixed
from tagdesk.errors import InputError

LABELS = "labels"  # the column that is added where a file has none


def apply(
    read: ReadResult, verdicts: Sequence[Verdict], out: Path, *, force: bool = False, inputs: Sequence[Path] = ()
) -> int:
    """Write all accepted rows, with new labels where there is a verdict; gives how many tickets changed.

    Rows that hold no ticket are in `<out>.rejects.jsonl`. A ticket that already has the labels of its verdict stays as
    it is, so that a table may be applied twice. Raises InputError where a verdict's row is not the ticket of the table,
    or has other labels by now: then the table belongs to another file, or to an earlier state of this one.
    """
    by_row = {verdict.row: verdict for verdict in verdicts}
    if strays := by_row.keys() - {row.number for row in read.accepted}:
        raise InputError(f"The file has no row {min(strays)}. {_REMEDY}", code="other_file")
    labels = {row.number: _labels(row, by_row) for row in read.accepted}
    tickets = [replace(row.ticket, labels=labels[row.number]) for row in read.accepted]
    refuse_mixed(out, tickets)
    column = read.labels_column or LABELS
    kept = str if kind_of(out).format in {"csv", "tsv"} else list  # what labels that nobody changed are written as
    fields = dict.fromkeys([*read.fields, *(name for row in read.accepted for name in row.raw), column])
    with (
        RejectsWriter(out, force=force, inputs=inputs) as rejects,
        open_writer(out, list(fields), force=force, inputs=inputs, types={column: list}) as writer,
    ):
        for rejected in read.rejected:
            rejects.write(rejected)
        for row, ticket in zip(read.accepted, tickets, strict=True):
            is_kept = ticket.labels == row.ticket.labels and isinstance(row.raw.get(column), kept)
            given = None if ticket.labels is None else sorted(ticket.labels)
            writer.write(row.raw if is_kept else {**row.raw, column: given})
    return sum(labels[row.number] != row.ticket.labels for row in read.accepted)


_REMEDY = "Apply the table to the file that was audited, or audit this one anew."


def _labels(row: Accepted, verdicts: Mapping[int, Verdict]) -> frozenset[str] | None:
    """A row's labels after its verdict, if there is one."""
    verdict = verdicts.get(row.number)
    if verdict is None:
        return row.ticket.labels
    if verdict.mark != mark_of(row.ticket, verdict.before, verdict.suggested):
        raise InputError(
            f"Row {row.number} (id {row.ticket.id[:60]!r}) is another ticket than in the table, or its labels or "
            f"suggested_labels were changed there. {_REMEDY}",
            code="other_file",
        )
    if row.ticket.labels not in (verdict.before, verdict.after):
        raise InputError(
            f"Row {row.number} (id {row.ticket.id[:60]!r}) was given other labels since the audit. {_REMEDY}",
            code="other_file",
        )
    return verdict.after
