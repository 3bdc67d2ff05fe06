"""Parquet, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from tagdesk.dataset.records import Broken, Piece, Record, Table
from tagdesk.dataset.source import Source
from tagdesk.errors import InputError

_BATCH = 512  # rows in memory at a time; a row may be a megabyte


def read_parquet(source: Source) -> Table:
    """The columns and the rows of a Parquet file; raises InputError where it is damaged."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import
    import pyarrow.parquet as pq  # noqa: PLC0415

    source.raw.seek(0)
    try:
        file = pq.ParquetFile(source.raw)
        fields = tuple(file.schema_arrow.names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(source, error) from error
    return Table(fields, _pieces(file, source))


def _pieces(file: Any, source: Source) -> Iterator[Piece]:
    import pyarrow as pa  # noqa: PLC0415

    try:
        for batch in file.iter_batches(batch_size=_BATCH):
            yield from _rows(_plain(batch))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(source, error) from error


def _rows(batch: Any) -> Iterator[Piece]:
    try:
        values = batch.to_pylist()
    except UnicodeDecodeError:  # find the rows that are to blame
        for row in range(batch.num_rows):
            try:
                yield Record(None, batch.slice(row, 1).to_pylist()[0])
            except UnicodeDecodeError:
                yield Broken(None, "bad_encoding", "A text is not valid UTF-8.")
        return
    for value in values:
        yield Record(None, value)


def _plain(batch: Any) -> Any:
    """The batch with times as text, since Python's own hold no nanoseconds."""
    import pyarrow as pa  # noqa: PLC0415

    def plain(column: Any) -> Any:
        kind = column.type
        return column.cast(pa.string()) if pa.types.is_temporal(kind) and not pa.types.is_interval(kind) else column

    return pa.RecordBatch.from_arrays([plain(column) for column in batch.columns], names=batch.schema.names)


def _damaged(source: Source, error: Exception) -> InputError:
    return InputError(
        f"{source.path}: not a readable Parquet file: {str(error).splitlines()[0][:200].rstrip('.')}. Export it again.",
        code="not_parquet",
    )


class ParquetRows:
    """Writes rows to a Parquet file, some at a time."""

    def __init__(self, handle: BinaryIO, fields: tuple[str, ...], types: Mapping[str, type]) -> None:
        self._handle = handle
        self._fields = fields
        self._types = types
        self._waiting: list[Mapping[str, object]] = []
        self._writer: Any = None

    def write(self, row: Mapping[str, object]) -> None:
        """Add a row."""
        self._waiting.append(row)
        if len(self._waiting) == _BATCH:
            self._flush()

    def finish(self) -> None:
        """Write what is left, and the file's footer."""
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Forget the file, which nobody wants any more."""
        if self._writer is not None:
            self._writer.is_open = False  # or it would still write a footer when it is collected

    def _flush(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - slow to import
        import pyarrow.parquet as pq  # noqa: PLC0415

        if self._writer is None:
            schema = pa.schema([(field, self._type(field)) for field in self._fields])
            self._writer = pq.ParquetWriter(self._handle, schema)
        columns = [self._column(field, self._writer.schema.field(field).type) for field in self._fields]
        self._waiting.clear()
        self._writer.write_table(pa.table(columns, schema=self._writer.schema))

    def _type(self, field: str) -> Any:
        """The type that was asked for, or else that of the first rows."""
        import pyarrow as pa  # noqa: PLC0415

        wanted = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), list: pa.list_(pa.string())}
        if field in self._types:
            return wanted[self._types[field]]
        found = self._column(field, None).type
        return pa.string() if pa.types.is_null(found) else found

    def _column(self, field: str, kind: Any) -> Any:
        import pyarrow as pa  # noqa: PLC0415

        values = [row.get(field) for row in self._waiting]
        try:
            return pa.array([sorted(v) if isinstance(v, set | frozenset) else v for v in values], type=kind)
        except (pa.ArrowException, OverflowError, TypeError) as error:
            raise InputError(
                f"Column {field!r} holds values of different kinds, which Parquet cannot: {error}. "
                "Write .jsonl or .csv.",
                code="mixed_types",
            ) from error
