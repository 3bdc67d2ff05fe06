"""The table of findings: written for a person to fill in, and read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from tagdesk.audit import Audit
from tagdesk.dataset import Accepted, Columns, File, ReadResult, open_writer
from tagdesk.dataset.labels import join_labels, parse_labels
from tagdesk.errors import InputError
from tagdesk.ticket import Ticket

FIELDS = ("row", "id", "labels", "suggested_labels", "new_labels", "doubt", "reason", "text", "mark")
NO_LABEL, ACCEPT = "none", "suggested"  # verdicts that are no list of labels
MEANT = {NO_LABEL: "[] for no label", ACCEPT: "the suggested labels themselves"}  # said without the word
EXPECTED = f"labels joined by |, {NO_LABEL!r} for no label, {ACCEPT!r} to accept the suggestion, or nothing"
# What spreadsheets make of a table that they were only asked to save.
_SAVED_AS = ((None, None), (";", None), ("\t", None), (None, "cp1252"), (";", "cp1252"))


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


def mark_of(ticket: Ticket, labels: Collection[str], suggested: Collection[str]) -> str:
    """13 signs by which a row of a table is known again, with its labels as they were and as they were suggested.

    >>> mark_of(Ticket("007", "Where is it?"), ["A"], [])
    'm56bf02fb17b7'
    """
    content = json.dumps([ticket.id, ticket.text.split(), sorted(labels), sorted(suggested)])
    return "m" + hashlib.sha256(content.encode()).hexdigest()[:12]


def read_verdicts(path: Path, known: Collection[str]) -> list[Verdict]:
    """The verdicts in a table that a person filled in, also one that a spreadsheet saved in its own way.

    `known` are the labels that a verdict may name besides those that were suggested. Raises InputError, with the line,
    for a table that is none, a row that cannot be read, a verdict that cannot, and two verdicts for one row.
    """
    read = _read(path)
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


def corrected(
    labels: frozenset[str], suggested: frozenset[str], verdict: str, known: Collection[str]
) -> frozenset[str]:
    """The labels after a person's verdict; raises InputError for one that cannot be read.

    >>> sorted(corrected(frozenset({"A"}), frozenset({"A", "B"}), "suggested", ["A", "B"]))
    ['A', 'B']
    >>> corrected(frozenset({"A"}), frozenset(), "", ["A"])
    frozenset({'A'})
    """
    word = verdict.strip()
    if not word:
        return labels
    choices = {*known, *suggested, *labels}
    if word.casefold() in MEANT:
        if alike := [name for name in choices if name.casefold() == word.casefold()]:
            listed = json.dumps(alike[:1], ensure_ascii=False)
            raise InputError(
                f"new_labels {word!r}: there is a label {alike[0]!r}. Write {listed} for that label, or "
                f"{MEANT[word.casefold()]}.",
                code="bad_labels",
            )
        return suggested if word.casefold() == ACCEPT else frozenset()
    try:
        named = parse_labels(word)
    except ValueError as error:
        raise InputError(f"new_labels {word[:60]!r}: {error} Expected {EXPECTED}.", code="bad_labels") from error
    for name in sorted(named - choices):
        near = get_close_matches(name, choices, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"new_labels {word[:60]!r}: {name[:60]!r} is no label of this file.{hint} Expected {EXPECTED}; a new label "
            "must stand in the file given by --taxonomy.",
            code="unknown_label",
        )
    return named


def _read(path: Path) -> ReadResult:
    first: InputError | None = None
    for delimiter, encoding in _SAVED_AS:
        file = File(path, Columns(text="mark", labels="", id="", time="", unit=""), encoding, delimiter)
        try:
            read = file.read()
        except InputError as error:
            first = first or error
            continue
        if missing := set(FIELDS) - set(read.fields):
            raise InputError(
                f"{path}: no column {', '.join(sorted(missing))}. Expected a table that `tagdesk audit` wrote.",
                code="missing_column",
            )
        return read
    raise InputError(f"{path} is no table that `tagdesk audit` wrote: {first}", code="bad_table") from first


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
