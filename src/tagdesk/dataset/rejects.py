"""The file beside a result that says which rows were left out; it never holds a customer's text."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from tagdesk.dataset.draft import draft, refuse_target
from tagdesk.dataset.rows import Rejected


def rejects_path(out: str | os.PathLike[str]) -> Path:
    """Where the rejects of a result stand.

    >>> rejects_path("out.csv").name
    'out.csv.rejects.jsonl'
    """
    path = Path(out)
    return path.with_name(path.name + ".rejects.jsonl")


def reject_lines(rows: Sequence[Rejected]) -> bytes:
    """Rejected rows as the file holds them, one to a line."""
    return b"".join(json.dumps(row.to_dict(), ensure_ascii=False).encode() + b"\n" for row in rows)


class RejectsWriter:
    """Writes `<out>.rejects.jsonl` in a `with` statement; without rejects there is no file, not even an old one."""

    def __init__(
        self,
        out: str | os.PathLike[str],
        *,
        force: bool = False,
        inputs: Sequence[str | os.PathLike[str]] = (),
    ) -> None:
        self.path = rejects_path(out)
        self.count = 0
        self._force = force
        self._inputs = [Path(source) for source in inputs]
        self._stack = ExitStack()
        self._handle: BinaryIO | None = None

    def write(self, rejected: Rejected) -> None:
        """Add a rejected row."""
        self.add(reject_lines([rejected]))

    def add(self, lines: bytes) -> None:
        """Add what `reject_lines` made of some rows."""
        if lines and self._handle is None:
            self._handle = self._stack.enter_context(draft(self.path, force=self._force, inputs=self._inputs))
        if self._handle is not None:
            self._handle.write(lines)
        self.count += lines.count(b"\n")

    def __enter__(self) -> Self:
        refuse_target(self.path, force=self._force, inputs=self._inputs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if error is None and not self.count:
            self.path.unlink(missing_ok=True)
