"""The gate to files of tickets: read, write, check and split them."""

from __future__ import annotations

from tagdesk.dataset.checks import check
from tagdesk.dataset.columns import Columns
from tagdesk.dataset.file import File
from tagdesk.dataset.findings import CheckReport, Leak, Lengths, Problem
from tagdesk.dataset.near import near_duplicate_groups
from tagdesk.dataset.reader import TicketReader, open_rows, read_tickets
from tagdesk.dataset.rejects import RejectsWriter, reject_lines, rejects_path
from tagdesk.dataset.rows import Accepted, ReadResult, Rejected, Row
from tagdesk.dataset.sheet import Sheet
from tagdesk.dataset.splits import split, stratified_folds
from tagdesk.dataset.writer import RowWriter, open_writer, write_tickets

__all__ = [
    "Accepted",
    "CheckReport",
    "Columns",
    "File",
    "Leak",
    "Lengths",
    "Problem",
    "ReadResult",
    "Rejected",
    "RejectsWriter",
    "Row",
    "RowWriter",
    "Sheet",
    "TicketReader",
    "check",
    "near_duplicate_groups",
    "open_rows",
    "open_writer",
    "read_tickets",
    "reject_lines",
    "rejects_path",
    "split",
    "stratified_folds",
    "write_tickets",
]
