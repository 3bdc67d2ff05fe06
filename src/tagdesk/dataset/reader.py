"""Reads a file of tickets row by row, and accounts for every row of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tagdesk.dataset.columns import Columns, Layout, lay_out
from tagdesk.dataset.delimited import read_delimited
from tagdesk.dataset.folder import Folder, is_folder
from tagdesk.dataset.jsonlines import read_json_lines
from tagdesk.dataset.parquet import read_parquet
from tagdesk.dataset.records import Blank, Broken, Piece, Record, Table
from tagdesk.dataset.rows import Accepted, Flaw, ReadResult, Rejected, Row
from tagdesk.dataset.source import Source


class TicketReader:
    """The rows of one file in its order, read while they are asked for; use it in a `with` statement, once.

    Attributes:
        fields: the column names; of JSON Lines those that the first 1,000 rows have.
        labels_column: the one that labels are read from, None where there is none.
        types: the Arrow types of the columns of a Parquet file, as far as rows can be written with them again.
        accepted, rejected, skipped: how many rows there were so far; skipped ones are blank lines.
    """

    def __init__(self, source: Source | Folder, table: Table, layout: Layout | None) -> None:
        self.fields = table.fields
        self.types = table.types
        self.labels_column = layout.labels if layout else None
        self.accepted = self.rejected = self.skipped = 0
        self._source = source
        self._total = table.rows
        self._rows = self._read(table.pieces, layout)

    @property
    def read(self) -> int:
        """How many rows were read so far: accepted + rejected + skipped."""
        return self.accepted + self.rejected + self.skipped

    @property
    def share(self) -> float:
        """How much of the file has been read, 0..1."""
        return self.read / self._total if self._total else self._source.share

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def __iter__(self) -> Iterator[Row]:
        return self._rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, pieces: Iterator[Piece], layout: Layout | None) -> Iterator[Row]:
        with self._source.troubles():
            for piece in pieces:
                if isinstance(piece, Blank):
                    self.skipped += 1
                    continue
                row = _row(piece, self.accepted + self.rejected + 1, layout)
                if isinstance(row, Accepted):
                    self.accepted += 1
                else:
                    self.rejected += 1
                yield row
        self._source.verify_unchanged()


def open_rows(
    path: str | os.PathLike[str],
    columns: Columns | None = None,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    format: str | None = None,  # noqa: A002 - the word that users know
) -> TicketReader:
    """Open a file of tickets: CSV, TSV or JSON Lines (also .gz and .xz), or Parquet, by its name or `format`.

    A folder is read as the Parquet files in it, in the order of their names.
    Memory stays the same however long the file is. Raises InputError at once for what is no such file or lacks a text
    column, and while reading where the file turns out to be damaged, or changes; a bad row is a Rejected, and no error.

    Example:
        with open_rows("tickets.csv") as rows:
            for row in rows:
                ...
    """
    is_whole = not is_folder(Path(path)) or format not in {None, "parquet"}
    source = Source(Path(path), format=format) if is_whole else Folder(Path(path))
    try:
        with source.troubles():
            table = _table(source, encoding, delimiter)
        # JSON Lines of which no line is an object have no columns; their rows are all rejected.
        layout = lay_out(columns or Columns(), table.fields, str(path)) if table.fields else None
    except BaseException:
        source.close()
        raise
    return TicketReader(source, table, layout)


def read_tickets(
    path: str | os.PathLike[str],
    columns: Columns | None = None,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    format: str | None = None,  # noqa: A002 - the word that users know
) -> ReadResult:
    """A whole file of tickets in memory; otherwise as `open_rows`."""
    accepted: list[Accepted] = []
    rejected: list[Rejected] = []
    with open_rows(path, columns, encoding=encoding, delimiter=delimiter, format=format) as rows:
        for row in rows:
            if isinstance(row, Accepted):
                accepted.append(row)
            else:
                rejected.append(row)
        return ReadResult(rows.fields, tuple(accepted), tuple(rejected), rows.skipped, rows.labels_column)


def _table(source: Source | Folder, encoding: str | None, delimiter: str | None) -> Table:
    if isinstance(source, Folder):
        return source.table()
    if source.kind.format == "parquet":
        return read_parquet(source)
    if source.kind.format == "jsonl":
        return read_json_lines(source, encoding)
    return read_delimited(source, encoding, delimiter)


def _row(piece: Record | Broken, number: int, layout: Layout | None) -> Row:
    if isinstance(piece, Broken):
        return Rejected(number, piece.line, piece.code, piece.detail)
    if layout is None:
        return Rejected(number, piece.line, "not_text", "The row has no text.")
    try:
        ticket, flags = layout.ticket(piece.values, number)
    except Flaw as flaw:
        return Rejected(number, piece.line, flaw.code, flaw.detail)
    return Accepted(number, piece.line, ticket, piece.values, flags)
