"""A file of tickets with all that its reader must be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tagdesk.dataset.columns import Columns
from tagdesk.dataset.folder import is_folder, parquet_files
from tagdesk.dataset.reader import TicketReader, open_rows, read_tickets
from tagdesk.dataset.rows import ReadResult
from tagdesk.dataset.source import fingerprint
from tagdesk.errors import InputError


@dataclass(frozen=True, slots=True)
class File:
    """Where tickets are, and how to read them; see `open_rows`."""

    path: Path
    columns: Columns | None = None
    encoding: str | None = None
    delimiter: str | None = None
    format: str | None = None

    def fingerprints(self) -> list[tuple[str, int, int, int]]:
        """What tells it from a changed one: name, bytes, time of change in ns and inode, of each file of a folder."""
        files = parquet_files(self.path) if is_folder(self.path) else [self.path]
        return [fingerprint(file) for file in files]

    def verify_unchanged(self, before: list[tuple[str, int, int, int]]) -> None:
        """Raise InputError if its fingerprints are not what they were before."""
        if self.fingerprints() != before:
            raise InputError(
                f"{self.path}: the file changed while it was read. Read it again once nobody writes to it.",
                code="changed",
            )

    def open(self) -> TicketReader:
        """Its rows, one at a time."""
        return open_rows(self.path, self.columns, encoding=self.encoding, delimiter=self.delimiter, format=self.format)

    def read(self) -> ReadResult:
        """All its rows."""
        return read_tickets(
            self.path, self.columns, encoding=self.encoding, delimiter=self.delimiter, format=self.format
        )
