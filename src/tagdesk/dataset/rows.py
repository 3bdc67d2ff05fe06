"""A row of a file of tickets: accepted with its ticket, or rejected with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tagdesk.ticket import Ticket


class Flaw(ValueError):  # noqa: N818 - the word for what is wrong with one row
    """What is wrong with one row; the reader turns it into a Rejected."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Accepted:
    """A row that holds a ticket.

    `number` counts the rows from 1, blank lines left out; `line` is where the row begins in a text file, header and
    blank lines counted (None in Parquet). `raw` holds every column as it was read; `flags` is what `text.clean` found
    unusual.
    """

    number: int
    line: int | None
    ticket: Ticket
    raw: Mapping[str, object]
    flags: tuple[str, ...] = ()

    @property
    def where(self) -> int:
        """The line, or the row number where there are no lines."""
        return self.number if self.line is None else self.line


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that holds no ticket, and why; the detail never quotes the customer's text."""

    number: int
    line: int | None
    code: str
    detail: str

    @property
    def where(self) -> int:
        """The line, or the row number where there are no lines."""
        return self.number if self.line is None else self.line

    def to_dict(self) -> dict[str, object]:
        """The rejection as a rejects file holds it.

        >>> Rejected(3, 4, "empty_text", "The text is empty.").to_dict()
        {'row': 3, 'line': 4, 'code': 'empty_text', 'detail': 'The text is empty.'}
        """
        return {"row": self.number, "line": self.line, "code": self.code, "detail": self.detail}


Row: TypeAlias = Accepted | Rejected


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A whole file: its accepted and rejected rows, and how many blank lines were skipped.

    `read == len(accepted) + len(rejected) + skipped`, always. The labels were read from `labels_column`.
    """

    fields: tuple[str, ...]
    accepted: tuple[Accepted, ...]
    rejected: tuple[Rejected, ...]
    skipped: int
    labels_column: str | None = None

    @property
    def tickets(self) -> list[Ticket]:
        """The tickets of the accepted rows, in file order."""
        return [row.ticket for row in self.accepted]

    @property
    def read(self) -> int:
        """How many rows the file has, blank lines included."""
        return len(self.accepted) + len(self.rejected) + self.skipped
