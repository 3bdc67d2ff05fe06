"""A file of tickets with all that its reader must be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tagdesk.dataset.columns import Columns
from tagdesk.dataset.reader import TicketReader, open_rows, read_tickets
from tagdesk.dataset.rows import ReadResult


@dataclass(frozen=True, slots=True)
class File:
    """Where tickets are, and how to read them; see `open_rows`."""

    path: Path
    columns: Columns | None = None
    encoding: str | None = None
    delimiter: str | None = None
    format: str | None = None

    def open(self) -> TicketReader:
        """Its rows, one at a time."""
        return open_rows(self.path, self.columns, encoding=self.encoding, delimiter=self.delimiter, format=self.format)

    def read(self) -> ReadResult:
        """All its rows."""
        return read_tickets(
            self.path, self.columns, encoding=self.encoding, delimiter=self.delimiter, format=self.format
        )
