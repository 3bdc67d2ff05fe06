"""What became of a part, as a value, and as the bytes that outlive the process."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows had which fate; `left_out` names columns that came too late to have a place in the result."""

    accepted: int = 0
    rejected: int = 0
    skipped: int = 0
    without_label: int = 0
    flagged: int = 0
    left_out: tuple[str, ...] = ()

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.accepted + other.accepted,
            self.rejected + other.rejected,
            self.skipped + other.skipped,
            self.without_label + other.without_label,
            self.flagged + other.flagged,
            tuple(sorted({*self.left_out, *other.left_out})),
        )

    @classmethod
    def total(cls, counts: Iterable[Counts]) -> Counts:
        """All of them together."""
        return sum(counts, cls())


@dataclass(frozen=True, slots=True)
class Done:
    r"""A part that is finished.

    Attributes:
        counts: of its rows.
        end: how many rows the source has up to the end of this part.
        share: how much of the source that is, 0..1.
        rejects: its rejected rows, as lines of the rejects file.
        rows: its accepted rows with what the model says of them, as a piece of the result.

    >>> done = Done(Counts(accepted=2), 2, 1.0, b"", b"a,b\n")
    >>> Done.from_bytes(done.to_bytes()) == done
    True
    """

    counts: Counts
    end: int
    share: float
    rejects: bytes
    rows: bytes

    def to_bytes(self) -> bytes:
        """A line of JSON, then the rejects, then the rows."""
        head = {
            "counts": asdict(self.counts),
            "end": self.end,
            "share": self.share,
            "sizes": [len(self.rejects), len(self.rows)],
        }
        return json.dumps(head).encode() + b"\n" + self.rejects + self.rows

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """What `to_bytes` wrote; raises ValueError for anything else."""
        line, _, rest = content.partition(b"\n")
        try:
            head = json.loads(line)
            of_rejects, of_rows = head["sizes"]
            counts = Counts(**head["counts"] | {"left_out": tuple(head["counts"]["left_out"])})
            end, share = int(head["end"]), float(head["share"])
        except (KeyError, TypeError) as error:
            raise ValueError("This is no finished part.") from error
        if len(rest) != of_rejects + of_rows:
            raise ValueError("The part is cut off.")
        return cls(counts, end, share, rest[:of_rejects], rest[of_rejects:])
