"""The gate to files of tickets: read, write, check and split them."""

from __future__ import annotations

from tagdesk.dataset.columns import Columns
from tagdesk.dataset.reader import TicketReader, open_rows, read_tickets
from tagdesk.dataset.rows import Accepted, ReadResult, Rejected, Row

__all__ = [
    "Accepted",
    "Columns",
    "ReadResult",
    "Rejected",
    "Row",
    "TicketReader",
    "open_rows",
    "read_tickets",
]
