"""Writes rows and tickets as CSV, TSV, JSON Lines or Parquet."""

from __future__ import annotations

import codecs
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from tagdesk.dataset.draft import draft, refuse_target
from tagdesk.dataset.kinds import output_kind
from tagdesk.dataset.labels import join_labels
from tagdesk.dataset.parquet_rows import ParquetRows
from tagdesk.dataset.spreadsheet import escape
from tagdesk.errors import InputError, UsageError
from tagdesk.ticket import Ticket


class RowWriter(Protocol):
    """Takes rows one by one."""

    def write(self, row: Mapping[str, object]) -> None:
        """Add a row; columns it lacks stay empty, and a column that was not announced raises InputError."""
        ...


@contextmanager
def open_writer(  # noqa: PLR0913 - what is written where, and in which way
    path: str | os.PathLike[str],
    fields: Sequence[str],
    *,
    format: str | None = None,  # noqa: A002 - the word that users know
    force: bool = False,
    inputs: Sequence[str | os.PathLike[str]] = (),
    types: Mapping[str, type] | None = None,
    marked: bool = False,
) -> Iterator[RowWriter]:
    """Write rows to a file that appears whole when the block ends well, and not at all otherwise.

    Args:
        path: the file; its name gives the format, unless `format` does.
        fields: the columns in order.
        format: csv, tsv, jsonl or parquet.
        force: overwrite a file that is there.
        inputs: files that are read meanwhile, and never overwritten.
        types: what columns of a Parquet file hold (str, int, float, bool, or list for a list of texts); the first rows
            tell for the others.
        marked: begin CSV and TSV with the mark by which spreadsheets know UTF-8.

    Example:
        with open_writer("out.csv", ["id", "labels"]) as rows:
            rows.write({"id": "7", "labels": {"Billing Issue"}})
    """
    target = Path(path)
    sources = [Path(source) for source in inputs]
    refuse_target(target, force=force, inputs=sources)  # a folder is called one, whatever its name ends in
    kind = output_kind(target, format)
    columns = tuple(fields)
    with draft(target, force=force, inputs=sources) as handle:
        if kind.format == "jsonl":
            yield _Known(JsonLines(handle), columns, target)
        elif kind.format == "parquet":
            rows = ParquetRows(handle, columns, types or {})
            try:
                yield _Known(rows, columns, target)
                rows.finish()
            except BaseException:
                rows.abandon()
                raise
        else:
            handle.write(codecs.BOM_UTF8 if marked else b"")
            table = Delimited(handle, columns, kind.format)
            table.write_header()
            yield _Known(table, columns, target)


def write_tickets(path: str | os.PathLike[str], tickets: Sequence[Ticket], *, force: bool = False) -> None:
    """Write tickets so that reading them gives them back: id, text, labels, and unit and time where there are any.

    Labels stand joined by `|` in CSV and TSV, as a list elsewhere. Raises UsageError (`mixed_labels`) where CSV or TSV
    would have to tell unlabelled tickets from tickets without a label, which they cannot.
    """
    refuse_mixed(Path(path), tickets)
    labelled = any(ticket.is_labelled for ticket in tickets)
    fields = ["id", "text"]
    fields += ["labels"] if labelled else []
    fields += [part for part in ("unit", "time") if any(getattr(ticket, part) is not None for ticket in tickets)]
    types = {"id": str, "text": str, "labels": list, "unit": str, "time": str}
    with open_writer(path, fields, force=force, types=types) as rows:
        for ticket in tickets:
            rows.write({field: getattr(ticket, field) for field in fields})


def refuse_mixed(path: Path, tickets: Sequence[Ticket]) -> None:
    """Raise UsageError where a CSV or TSV would make tickets without a label of those that nobody has labelled."""
    labelled = sum(ticket.is_labelled for ticket in tickets)
    if 0 < labelled < len(tickets) and output_kind(path).format in {"csv", "tsv"}:
        raise UsageError(
            f"{path}: {len(tickets) - labelled} of {len(tickets)} tickets are unlabelled, which CSV cannot tell from "
            "having no label. Write .jsonl or .parquet.",
            code="mixed_labels",
        )


class _Known:
    """A writer that knows its columns and refuses others."""

    def __init__(self, inner: RowWriter, fields: tuple[str, ...], path: Path) -> None:
        self._inner = inner
        self._fields = frozenset(fields)
        self._path = path

    def write(self, row: Mapping[str, object]) -> None:
        strange = row.keys() - self._fields
        if strange:
            raise InputError(
                f"{self._path}: a row has a column {min(strange)!r} that the first rows did not have. "
                "Let all rows have the same columns.",
                code="unknown_column",
            )
        try:
            self._inner.write(row)
        except UnicodeEncodeError as error:
            raise InputError(
                f"{self._path}: a row holds half of a character (a lone surrogate), which no file can hold. Remove it.",
                code="bad_encoding",
            ) from error


class JsonLines:
    """One JSON object per line; sets stand as sorted lists, and what is no number as null."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle

    def write(self, row: Mapping[str, object]) -> None:
        """Add a row."""
        try:
            line = json.dumps(row, ensure_ascii=False, allow_nan=False, default=_jsonable)
        except ValueError:
            line = json.dumps(_finite(row), ensure_ascii=False, allow_nan=False, default=_jsonable)
        self._handle.write(line.encode() + b"\n")


class Delimited:
    """CSV or TSV; what a spreadsheet would run is escaped."""

    def __init__(self, handle: BinaryIO, fields: tuple[str, ...], format: str) -> None:  # noqa: A002 - as above
        self._handle = handle
        self._fields = fields
        self._delimiter = "\t" if format == "tsv" else ","
        self._special = frozenset(f'{self._delimiter}"\r\n')

    def write_header(self) -> None:
        """Write the names of the columns."""
        self._write(self._fields)

    def write(self, row: Mapping[str, object]) -> None:
        """Add a row."""
        self._write([row.get(field) for field in self._fields])

    def _write(self, values: Sequence[object]) -> None:
        self._handle.write(self._delimiter.join(map(self._cell, values)).encode() + b"\n")

    def _cell(self, value: object) -> str:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return repr(value)
        cell = escape(_as_text(value))
        if not self._special.isdisjoint(cell) or (not cell and len(self._fields) == 1):
            return '"' + cell.replace('"', '""') + '"'
        return cell


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(item, str) for item in value):
        return join_labels(value)
    return json.dumps(value, ensure_ascii=False, default=_jsonable)


def _jsonable(value: object) -> object:
    """Sets as sorted lists, whatever else a Parquet file held as its text."""
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def _finite(value: object) -> object:
    """The value with None for every number that JSON cannot write."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
