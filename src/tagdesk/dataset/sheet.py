"""A table that is rendered in pieces, by whoever has some of its rows, and joined in the end."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

from tagdesk.dataset.parquet_rows import arrow_schema, arrow_table
from tagdesk.dataset.writer import Delimited, JsonLines, RowWriter


@dataclass(frozen=True, slots=True)
class Sheet:
    r"""The columns of a table in a format; `schema` is that of Parquet, known before the first piece.

    >>> sheet = Sheet.of("csv", ("id", "text"))
    >>> pieces = [sheet.render([{"id": 1, "text": "a, b"}]), sheet.render([{"id": 2}])]
    >>> sheet.join(pieces, handle := io.BytesIO())
    >>> handle.getvalue()
    b'id,text\n1,"a, b"\n2,\n'
    """

    format: str
    fields: tuple[str, ...]
    schema: Any = None

    @classmethod
    def of(
        cls,
        format: str,  # noqa: A002 - the word that users know
        fields: Sequence[str],
        types: Mapping[str, Any] | None = None,
        first: Sequence[Mapping[str, object]] = (),
    ) -> Self:
        """A sheet whose columns are of the given types (Python's or Arrow's), the others as the first rows have them.

        Types matter to Parquet alone. Raises InputError where the first rows have a column of different kinds.
        """
        return cls(format, tuple(fields), arrow_schema(fields, types or {}, first) if format == "parquet" else None)

    def render(self, rows: Sequence[Mapping[str, object]]) -> bytes:
        """Some rows as a piece: of Parquet a file of one row group, else lines without a header."""
        buffer = io.BytesIO()
        if self.format == "parquet":
            import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import

            pq.write_table(arrow_table(rows, self.schema), buffer)
            return buffer.getvalue()
        lines: RowWriter = JsonLines(buffer) if self.format == "jsonl" else Delimited(buffer, self.fields, self.format)
        for row in rows:
            lines.write(row)
        return buffer.getvalue()

    def join(self, pieces: Iterable[bytes], handle: BinaryIO) -> None:
        """Write the file that the pieces make, one of them in memory at a time."""
        if self.format == "parquet":
            self._join_parquet(pieces, handle)
            return
        if self.format != "jsonl":
            Delimited(handle, self.fields, self.format).write_header()
        handle.writelines(pieces)

    def _join_parquet(self, pieces: Iterable[bytes], handle: BinaryIO) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415

        writer = pq.ParquetWriter(handle, self.schema)
        try:
            for piece in pieces:
                table = pq.ParquetFile(io.BytesIO(piece)).read()
                if table.num_rows:
                    writer.write_table(table)
            writer.close()
        except BaseException:
            writer.is_open = False  # or it would still write a footer when it is collected
            raise
