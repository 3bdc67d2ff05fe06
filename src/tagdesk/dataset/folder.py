"""The Parquet files of a folder, read one after the other as if they were one file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tagdesk.dataset.parquet import read_parquet
from tagdesk.dataset.records import Piece, Table
from tagdesk.dataset.source import Source, fingerprint
from tagdesk.errors import InputError


class Folder:
    """A folder of Parquet files in the order of their names, hidden ones left out, one of them open at a time.

    Raises InputError where it holds none, or where they do not have the same columns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = parquet_files(path)
        self._before = [fingerprint(file) for file in self.files]
        self._done = 0
        self._source: Source | None = None

    @property
    def share(self) -> float:
        """How many of the files have been read, 0..1."""
        return self._done / len(self.files)

    def table(self) -> Table:
        """The columns of all files, and their rows."""
        tables = [self._opened(file)[1] for file in self.files]
        self.close()
        fields = tables[0].fields
        for file, table in zip(self.files, tables, strict=True):
            strange = set(table.fields).symmetric_difference(fields)
            if strange:
                raise InputError(
                    f"{file}: column {min(strange)!r} is here and not in {self.files[0].name}, or the other way round. "
                    "Let all files of the folder have the same columns.",
                    code="other_columns",
                )
        types = {field: _common([table.types.get(field) for table in tables]) for field in fields}
        return Table(
            fields,
            self._pieces(),
            sum(table.rows or 0 for table in tables),
            {field: kind for field, kind in types.items() if kind is not None},
        )

    def verify_unchanged(self) -> None:
        """Raise InputError if the files are not those that there were, as they were."""
        if [fingerprint(file) for file in parquet_files(self.path)] != self._before:
            raise InputError(
                f"{self.path}: the folder changed while it was read. Read it again once nobody writes to it.",
                code="changed",
            )

    def troubles(self) -> AbstractContextManager[None]:
        """Nothing to catch: each file turns its own troubles into InputError."""
        return nullcontext()

    def close(self) -> None:
        """Close the file that is open."""
        if self._source is not None:
            self._source.close()

    def _opened(self, file: Path) -> tuple[Source, Table]:
        self.close()
        self._source = source = Source(file, format="parquet")
        with source.troubles():
            return source, read_parquet(source)

    def _pieces(self) -> Iterator[Piece]:
        for file in self.files:
            source, table = self._opened(file)
            with source.troubles():
                yield from table.pieces
            self._done += 1


def is_folder(path: Path) -> bool:
    """Whether there is a folder of this name; no name is too odd to ask."""
    try:
        return path.is_dir()
    except OSError:
        return False


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder by name, without those that begin with `.` or `_`; raises InputError for none."""
    try:
        found = sorted(file for file in folder.glob("*.parquet") if not file.name.startswith((".", "_")))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error}.", code="unreadable") from error
    if not found:
        raise InputError(
            f"{folder}: this is a folder, not a file, and holds no Parquet files. Name a file of tickets.",
            code="not_a_file",
        )
    return found


def _common(types: list[Any]) -> Any:
    """The type of a column in all files, None where they differ."""
    return types[0] if all(kind == types[0] for kind in types) else None
