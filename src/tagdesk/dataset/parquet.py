"""Reads Parquet batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
        schema = file.schema_arrow
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(source, error) from error
    types = {column.name: kind for column in schema if (kind := _kept_type(column.type)) is not None}
    return Table(tuple(schema.names), _pieces(file, source), file.metadata.num_rows, types)


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


def _kept_type(kind: Any) -> Any:
    """The type as which Python's values of this one can be written again; None where the values must tell."""
    import pyarrow as pa  # noqa: PLC0415

    types = pa.types
    if types.is_dictionary(kind):
        return _kept_type(kind.value_type)
    if types.is_temporal(kind) and not types.is_interval(kind):
        return pa.string()
    if types.is_list(kind):
        return kind if _kept_type(kind.value_type) == kind.value_type else None
    simple = types.is_boolean(kind) or types.is_integer(kind) or types.is_float32(kind) or types.is_float64(kind)
    return kind if simple or types.is_string(kind) or types.is_binary(kind) or types.is_decimal(kind) else None


def _damaged(source: Source, error: Exception) -> InputError:
    return InputError(
        f"{source.path}: not a readable Parquet file: {str(error).splitlines()[0][:200].rstrip('.')}. Export it again.",
        code="not_parquet",
    )
