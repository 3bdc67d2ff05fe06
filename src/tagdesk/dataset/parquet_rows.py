"""Writes rows to Parquet, some at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from tagdesk.errors import InputError

_BATCH = 512  # rows in memory at a time; a row may be a megabyte


class ParquetRows:
    """Writes rows to a Parquet file; the first ones tell what a column holds where nobody said it."""

    def __init__(self, handle: BinaryIO, fields: tuple[str, ...], types: Mapping[str, Any]) -> None:
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
        import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import

        if self._writer is None:
            self._writer = pq.ParquetWriter(self._handle, arrow_schema(self._fields, self._types, self._waiting))
        table = arrow_table(self._waiting, self._writer.schema)
        self._waiting.clear()
        self._writer.write_table(table)


def arrow_schema(fields: Sequence[str], types: Mapping[str, Any], rows: Sequence[Mapping[str, object]]) -> Any:
    """The schema of a table: columns of the given types (Python's or Arrow's), the others of the type of these rows."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    wanted = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), list: pa.list_(pa.string())}

    def kind(field: str) -> Any:
        if field in types:
            return wanted.get(types[field], types[field])
        found = _column(field, rows, None).type
        return pa.string() if pa.types.is_null(found) else found

    return pa.schema([(field, kind(field)) for field in fields])


def arrow_table(rows: Sequence[Mapping[str, object]], schema: Any) -> Any:
    """The rows as an Arrow table; raises InputError where a value is not of its column's type."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.table([_column(field.name, rows, field.type) for field in schema], schema=schema)


def _column(field: str, rows: Sequence[Mapping[str, object]], kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    values = [row.get(field) for row in rows]
    try:
        return pa.array([sorted(v) if isinstance(v, set | frozenset) else v for v in values], type=kind)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise InputError(
            f"Column {field!r} holds values of different kinds, which Parquet cannot: {error}. Write .jsonl or .csv.",
            code="mixed_types",
        ) from error
