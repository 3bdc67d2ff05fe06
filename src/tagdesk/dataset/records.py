"""What each file format hands to the reader: named values, not yet a ticket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Record:
    """One row's values by column; `line` is where it begins, None in files without lines."""

    line: int | None
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Broken:
    """A row whose columns cannot be told apart, and why."""

    line: int | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Blank:
    """A line that holds nothing and counts as no row."""

    line: int


Piece: TypeAlias = Record | Broken | Blank


@dataclass(frozen=True, slots=True)
class Table:
    """An open file as its column names and its rows, which are read while they are asked for.

    Parquet says of itself how many rows there are, and as which Arrow types its columns can be written again.
    """

    fields: tuple[str, ...]
    pieces: Iterator[Piece]
    rows: int | None = None
    types: Mapping[str, Any] = field(default_factory=dict)
