"""A source in parts of a fixed size: the unit of work, whoever does it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice

from tagdesk.dataset import Accepted, File, Row, TicketReader

PART_ROWS = 4096  # rows of one part: ten seconds for an encoder on a core, and what a kill costs at most
PART_SIZE = 32 * 2**20  # characters from which a part ends earlier; keeps memory flat where rows are long


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that follow each other in the source.

    Attributes:
        rows: the accepted and the rejected ones, in order.
        skipped: blank lines that were passed over on the way.
        end: how many rows the source has up to the end of this part.
        share: how much of the source that is, 0..1.
    """

    rows: tuple[Row, ...]
    skipped: int
    end: int
    share: float


def read_parts(source: File, most: int, start: int = 0) -> Generator[Part, None, None]:
    """The parts of a source from number `start` on, each of `most` rows, one in memory at a time."""
    with source.open() as reader:
        yield from islice(parts_of(reader, most), start, None)


def parts_of(reader: TicketReader, most: int) -> Iterator[Part]:
    """The parts of an open source, at least one; where each ends depends on the rows alone."""
    rows: list[Row] = []
    size = skipped = count = 0
    for row in reader:
        rows.append(row)
        size += _size(row)
        if len(rows) == most or size >= PART_SIZE:
            yield Part(tuple(rows), reader.skipped - skipped, reader.accepted + reader.rejected, reader.share)
            rows, size, skipped, count = [], 0, reader.skipped, count + 1
    if rows or reader.skipped > skipped or not count:
        yield Part(tuple(rows), reader.skipped - skipped, reader.accepted + reader.rejected, 1.0)


def _size(row: Row) -> int:
    """The characters of a row's texts."""
    return sum(len(value) for value in row.raw.values() if isinstance(value, str)) if isinstance(row, Accepted) else 0
