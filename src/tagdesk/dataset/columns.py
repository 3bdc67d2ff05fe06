"""Which column of a file holds which part of a ticket."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from tagdesk.dataset.labels import label_set, parse_labels
from tagdesk.dataset.rows import Flaw, ReadResult
from tagdesk.errors import InputError
from tagdesk.text import check_text, stored
from tagdesk.ticket import Ticket

MAX_COLUMNS = 10_000


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns to read.

    None finds a column by its usual name (`text`, else `subject` and `body`; `labels`, else `categories`; `id`; `unit`;
    `time`), a name insists on that column, and an empty string leaves the part out. `Title+Message` as the text joins
    the two columns.
    """

    text: str | None = None
    labels: str | None = None
    subject: str | None = None
    body: str | None = None
    id: str | None = None
    unit: str | None = None
    time: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a ticket stand among a file's columns: one for the text, or several that are joined."""

    text: tuple[str, ...]
    labels: str | None
    id: str | None
    unit: str | None
    time: str | None

    def ticket(self, values: Mapping[str, object], number: int) -> tuple[Ticket, tuple[str, ...]]:
        """The ticket in a row's values, with the flags of its text; raises Flaw."""
        original = _joined(values, self.text)
        try:
            flags = check_text(original).flags
            text = stored(original)
        except InputError as error:
            raise Flaw(error.code, str(error)) from error
        ticket = Ticket(
            id=_word(values, self.id) or str(number),
            text=text,
            labels=_labels(values, self.labels),
            unit=_word(values, self.unit),
            time=_word(values, self.time),
        )
        return ticket, flags


def lay_out(columns: Columns, names: Sequence[str], source: str) -> Layout:
    """Find the columns among a file's `names`; raises InputError that lists what the file has."""
    _refuse_odd_header(names, source)
    several = _several(columns.text, names, source)
    columns = replace(columns, text=None) if several else columns
    given = {field.name: _find(getattr(columns, field.name), names, source) for field in fields(Columns)}

    def column(part: str, *usual: str) -> str | None:
        if getattr(columns, part) is not None:
            return given[part]
        return next((found for name in usual if (found := _match(name, names, source)) is not None), None)

    whole = column("text", "text")
    parts = (whole,) if whole else (column("subject", "subject"), column("body", "body"))
    text = several or tuple(part for part in parts if part is not None)
    if not text:
        raise InputError(
            f"{source}: no column 'text', 'subject' or 'body'. It has: {_listing(names)}. "
            "Say which column holds the text: --text-column.",
            code="missing_column",
        )
    return Layout(
        text,
        column("labels", "labels", "categories"),
        column("id", "id"),
        column("unit", "unit"),
        column("time", "time"),
    )


def labels_hint(read: ReadResult) -> str:
    """Where the labels of a file were looked for in vain, what columns it has, and the option that names another.

    >>> labels_hint(ReadResult(("Message", "Category"), (), (), 0))
    "No column of labels was read. The file has: 'Message', 'Category'. Say which holds the labels: --labels-column."
    """
    looked = f"Column {read.labels_column!r} is empty" if read.labels_column else "No column of labels was read"
    return f"{looked}. The file has: {_listing(read.fields)}. Say which holds the labels: --labels-column."


def _refuse_odd_header(names: Sequence[str], source: str) -> None:
    if len(names) > MAX_COLUMNS:
        raise InputError(
            f"{source}: {len(names):,} columns; at most {MAX_COLUMNS:,} are read.", code="too_many_columns"
        )
    blank = [position for position, name in enumerate(names, 1) if not name.strip()]
    if blank:
        raise InputError(
            f"{source}: column {blank[0]} has no name. It has: {_listing(names)}. "
            "Name it or delete it (a saved row index often has none).",
            code="blank_column",
        )
    repeated = [name for name, times in Counter(name.strip() for name in names).items() if times > 1]
    if repeated:
        raise InputError(
            f"{source}: column {_listing(repeated)} stands there twice. It has: {_listing(names)}. "
            "Rename or delete one.",
            code="duplicate_column",
        )


def _several(name: str | None, names: Sequence[str], source: str) -> tuple[str, ...]:
    """The columns of `Title+Message`, unless one column has that very name; none for a plain name."""
    if not name or "+" not in name or _match(name, names, source) is not None:
        return ()
    found = [_find(part.strip(), names, source) for part in name.split("+")]
    return tuple(column for column in found if column is not None)


def _find(name: str | None, names: Sequence[str], source: str) -> str | None:
    """The column that was asked for by name."""
    if not name:
        return None
    found = _match(name, names, source)
    if found is None:
        raise InputError(f"{source}: no column {name!r}. It has: {_listing(names)}.", code="missing_column")
    return found


def _match(name: str, names: Sequence[str], source: str) -> str | None:
    """The column of this name: exact first, then whatever the case and the blanks around it."""
    if name in names:
        return name
    alike = [other for other in names if other.strip().casefold() == name.strip().casefold()]
    if len(alike) > 1:
        raise InputError(
            f"{source}: {_listing(alike)} could all be column {name!r}. Rename all but one.", code="ambiguous_column"
        )
    return alike[0] if alike else None


def _joined(values: Mapping[str, object], columns: tuple[str, ...]) -> str:
    """The text of a row; of several columns those that are not blank, with an empty line between them."""
    parts = [values.get(column) for column in columns]
    for column, part in zip(columns, parts, strict=True):
        if not isinstance(part, str) and (part is not None or len(columns) == 1):
            kind = "missing or null" if part is None else f"a {type(part).__name__}"
            raise Flaw("not_text", f"Column {column!r} is {kind}; it must be text.")
    if len(parts) == 1:
        return str(parts[0])
    return "\n\n".join(part for part in parts if isinstance(part, str) and part.strip())


def _labels(values: Mapping[str, object], column: str | None) -> frozenset[str] | None:
    value = None if column is None else values.get(column)
    if value is None:
        return None
    if isinstance(value, str):
        return parse_labels(value)
    if isinstance(value, list):
        return label_set(value)
    raise Flaw("bad_labels", f"Column {column!r} is a {type(value).__name__}; it must be text or a list of texts.")


def _word(values: Mapping[str, object], column: str | None) -> str | None:
    """An id, a customer or a time, kept as it stands; None where there is none."""
    value = None if column is None else values.get(column)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    raise Flaw("not_text", f"Column {column!r} is a {type(value).__name__}; it must be text.")


def _listing(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:most]) or "no column at all"
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")
