"""Labels that a person filled into a table, also into one that a spreadsheet saved in its own way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from tagdesk.dataset.columns import Columns
from tagdesk.dataset.file import File
from tagdesk.dataset.labels import parse_labels
from tagdesk.dataset.rows import ReadResult
from tagdesk.errors import InputError
from tagdesk.ticket import Ticket

MARK = "mark"
NO_LABEL, ACCEPT = "none", "suggested"  # verdicts that are no list of labels
MEANT = {NO_LABEL: "[] for no label", ACCEPT: "the suggested labels themselves"}  # said without the word
EXPECTED = f"labels joined by |, {NO_LABEL!r} for no label, {ACCEPT!r} to accept the suggestion, or nothing"
NEW_LABEL = "a new label must stand in the file given by --taxonomy"
# What spreadsheets make of a table that they were only asked to save.
_SAVED_AS = ((None, None), (";", None), ("\t", None), (None, "cp1252"), (";", "cp1252"))


def mark_of(ticket: Ticket, labels: Collection[str], suggested: Collection[str]) -> str:
    """13 signs by which a row of a table is known again, with its labels as they were and as they were suggested.

    >>> mark_of(Ticket("007", "Where is it?"), ["A"], [])
    'm56bf02fb17b7'
    """
    content = json.dumps([ticket.id, ticket.text.split(), sorted(labels), sorted(suggested)])
    return "m" + hashlib.sha256(content.encode()).hexdigest()[:12]


def read_filled_in(path: Path, fields: Collection[str], wrote: str) -> ReadResult:
    """The rows of a table that a person filled in, each known by its mark.

    Args:
        path: the table, delimited and encoded in whatever way spreadsheets do.
        fields: the columns that it must have, `mark` among them.
        wrote: the command that wrote the table, for messages.

    Raises:
        InputError: for a file that is no such table.
    """
    first: InputError | None = None
    for delimiter, encoding in _SAVED_AS:
        file = File(path, Columns(text=MARK, labels="", id="", time="", unit=""), encoding, delimiter)
        try:
            read = file.read()
        except InputError as error:
            first = first or error
            continue
        if missing := set(fields) - set(read.fields):
            raise InputError(
                f"{path}: no column {', '.join(sorted(missing))}. Expected a table that `{wrote}` wrote.",
                code="missing_column",
            )
        return read
    raise InputError(f"{path} is no table that `{wrote}` wrote: {first}", code="bad_table") from first


def corrected(
    labels: frozenset[str],
    suggested: frozenset[str],
    verdict: str,
    known: Collection[str],
    *,
    owner: str = "this file",
    remedy: str = NEW_LABEL,
) -> frozenset[str]:
    """The labels after a person's verdict; raises InputError for one that cannot be read.

    Args:
        labels: before the verdict.
        suggested: what the person was shown.
        verdict: what the person wrote.
        known: labels that a verdict may name besides those two.
        owner: whose labels these are, for the message.
        remedy: how a label becomes known, for the message.

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
            f"new_labels {word[:60]!r}: {name[:60]!r} is no label of {owner}.{hint} Expected {EXPECTED}; {remedy}.",
            code="unknown_label",
        )
    return named
