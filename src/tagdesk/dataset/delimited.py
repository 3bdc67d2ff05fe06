"""Reads CSV and TSV row by row: strictly, in bounded memory, and never losing a row in silence."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TypeAlias

from tagdesk.dataset.columns import MAX_COLUMNS
from tagdesk.dataset.records import Blank, Broken, Piece, Record, Table
from tagdesk.dataset.source import Source
from tagdesk.dataset.spreadsheet import unescape
from tagdesk.errors import InputError, UsageError

MAX_RECORD = 32 * 2**20  # characters in one row
MAX_LINES = 50_000  # lines in one row; a quote that was never closed reaches it long before the memory ends
_MAX_CELLS = 1_000_000  # delimiters in one line
_OTHER_DELIMITERS = {";": "a semicolon", "\t": "a tab", "|": "a bar", ",": "a comma"}

_Rows: TypeAlias = Iterator[list[str]]


def read_delimited(source: Source, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """The header and the rows of a CSV or TSV file; raises InputError where header or quotes are broken."""
    separator = delimiter or ("\t" if source.kind.format == "tsv" else ",")
    separator = "\t" if separator == r"\t" else separator  # as the message below says it, and shells hand it on
    if len(separator) != 1 or separator in "\r\n\"'\\":
        raise UsageError(f"Delimiter {separator!r}: expected one character such as ',' or ';'.", code="bad_delimiter")
    lines = _Lines(source.text(encoding), str(source.path), separator)
    csv.field_size_limit(MAX_RECORD)  # one setting for the whole process, and never lower than ours
    rows = csv.reader(lines, delimiter=separator, strict=True)
    header = next((row for row in iter(lambda: _next(rows, lines), None) if any(cell.strip() for cell in row)), None)
    if header is None:
        raise InputError(f"{source.path}: the file holds blank lines only. Export it again.", code="empty")
    fields = tuple(unescape(name) for name in header)
    _refuse_other_delimiter(fields, separator, str(source.path))
    return Table(fields, _pieces(rows, lines, fields))


def _pieces(rows: _Rows, lines: _Lines, fields: tuple[str, ...]) -> Iterator[Piece]:
    width = len(fields)
    while (row := _next(rows, lines)) is not None:
        is_bare = width > 1 and len(row) in {1, width} and not any(cell.strip() for cell in row)
        if not row or is_bare:  # spreadsheets leave rows of bare delimiters behind
            yield Blank(lines.begun)
        elif len(row) == width:
            yield Record(lines.begun, dict(zip(fields, map(unescape, row), strict=True)))
        else:
            yield Broken(lines.begun, "ragged", f"The row has {len(row):,} cells where the header has {width:,}.")


def _next(rows: _Rows, lines: _Lines) -> list[str] | None:
    """The next row, None at the end of the file."""
    lines.begin_row()
    try:
        return next(rows, None)
    except csv.Error as error:
        raise lines.bad_quotes(f"a quote is opened and never closed, or text follows a closed one ({error})") from error


class _Lines:
    """The physical lines of a file, which know where the current row began and stop a row without end."""

    def __init__(self, stream: io.TextIOWrapper, name: str, delimiter: str) -> None:
        self._stream = stream
        self._name = name
        self._delimiter = delimiter
        self._number = 0
        self._size = 0
        self.begun = 1

    def begin_row(self) -> None:
        self.begun = self._number + 1
        self._size = 0

    def bad_quotes(self, what: str) -> InputError:
        return InputError(
            f"{self._name}: in the row that begins on line {self.begun}, {what}. "
            "Mend that line: quote whole cells, and double the quotes inside them.",
            code="bad_quotes",
        )

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_RECORD + 1)
        if not line:
            raise StopIteration
        self._number += 1
        self._size += len(line)
        if self._number - self.begun >= MAX_LINES:
            raise self.bad_quotes(f"a quote is still open after {MAX_LINES:,} lines")
        if self._size > MAX_RECORD:
            raise InputError(
                f"{self._name}: the row that begins on line {self.begun} has more than {MAX_RECORD:,} characters. "
                "Look for a missing line end or a quote that is never closed.",
                code="row_too_long",
            )
        most = MAX_COLUMNS if self._number == 1 else _MAX_CELLS
        if len(line) > most and line.count(self._delimiter) >= most:
            raise InputError(
                f"{self._name}: line {self._number} has more than {most:,} cells. Look for a missing line end.",
                code="too_many_columns",
            )
        return line


def _refuse_other_delimiter(fields: tuple[str, ...], delimiter: str, name: str) -> None:
    """Raise InputError where a header of one column is plainly several columns with another delimiter."""
    if len(fields) > 1:
        return
    for other, word in _OTHER_DELIMITERS.items():
        if other != delimiter and other in fields[0]:
            raise InputError(
                f"{name}: the header {fields[0][:80]!r} is one column; it looks like {word} separates the columns. "
                f"Give the delimiter: --delimiter {other!r}.",
                code="other_delimiter",
            )
