"""What a check of a file found, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "info"]

MOST_LINES = 20  # line numbers that are shown of a finding


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about a file that its owner should know: a sentence with the remedy, how often, and where."""

    severity: Severity
    code: str
    message: str
    count: int
    lines: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The problem as JSON holds it: with its first lines, and how many there are.

        >>> Problem("info", "odd", "Odd.", 1, (3,)).to_dict()["total_lines"]
        1
        """
        return asdict(replace(self, lines=self.lines[:MOST_LINES])) | {"total_lines": len(self.lines)}


@dataclass(frozen=True, slots=True)
class Leak:
    """Texts that two files share: rows of this file whose text also stands in `other`, and pairs of their lines."""

    other: str
    exact: int
    near: int
    pairs: tuple[tuple[int, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """The leak as JSON holds it, with its first pairs."""
        return asdict(replace(self, pairs=self.pairs[:MOST_LINES]))


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the texts are, in characters."""

    shortest: int
    median: int
    p95: int
    longest: int


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a file of tickets holds, and what is wrong with it; `read == accepted + rejected + skipped`.

    Attributes:
        rejects: how many rows were rejected, by code.
        label_counts: tickets per label, most frequent first.
        pair_counts: tickets per pair of labels, (first, second) in alphabetical order, most frequent first.
        without_label: tickets of which somebody found that they need no label.
        unlabelled: tickets that nobody has labelled.
        lengths: None where there are no tickets.
        repeated: rows whose text an earlier row has.
        near_duplicates: further rows whose text is nearly that of an earlier row.
        flags: how many texts were unusual, by flag.
    """

    read: int
    accepted: int
    rejected: int
    skipped: int
    rejects: Mapping[str, int]
    label_counts: Mapping[str, int]
    pair_counts: Mapping[tuple[str, str], int]
    without_label: int
    unlabelled: int
    lengths: Lengths | None
    repeated: int
    near_duplicates: int
    flags: Mapping[str, int]
    leaks: tuple[Leak, ...]
    problems: tuple[Problem, ...]

    @property
    def has_errors(self) -> bool:
        """Whether a problem stands in the way of training."""
        return any(problem.severity == "error" for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        plain = asdict(replace(self, leaks=(), problems=()))
        plain["leaks"] = [leak.to_dict() for leak in self.leaks]
        plain["problems"] = [problem.to_dict() for problem in self.problems]
        plain["pair_counts"] = [{"labels": list(pair), "count": count} for pair, count in self.pair_counts.items()]
        return plain
