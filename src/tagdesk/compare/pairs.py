"""Holds what two models say of the same labelled tickets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import BoolArray, IntArray, Probs, Targets


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one model says of tickets.

    Attributes:
        decided: (tickets, labels), True where it gives the label.
        probs: (tickets, labels), in 0..1; None where only decisions are compared.
    """

    decided: BoolArray
    probs: Probs | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The answers of the current model and of its challenger on the same tickets, whose labels people gave.

    Attributes:
        targets: (tickets, labels), the true labels.
        current: what answers now.
        challenger: what might answer instead.
        names: the labels in the order of the columns, each once.
        units: (tickets,), whose ticket it is; tickets of one customer are drawn together, because they resemble each
            other. None: every ticket is on its own.

    Raises:
        ValueError: for shapes that do not fit each other and scores that are no probabilities.

    >>> said = Answers(np.array([[True], [False]]))
    >>> len(Pairs(np.array([[True], [True]]), said, said, ("A",)).unit_codes)
    2
    """

    targets: Targets
    current: Answers
    challenger: Answers
    names: tuple[str, ...]
    units: Sequence[str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", np.asarray(self.targets, dtype=np.bool_))
        object.__setattr__(self, "names", tuple(self.names))
        if self.targets.ndim != 2 or self.targets.shape[1] == 0:
            raise ValueError(f"targets {self.targets.shape}: expected (tickets, labels) with at least one label.")
        if len(self.names) != self.targets.shape[1] or len(set(self.names)) != len(self.names):
            raise ValueError(
                f"{len(self.names)} names for {self.targets.shape[1]} columns: expected as many, each once."
            )
        if self.units is not None and len(self.units) != len(self.targets):
            raise ValueError(f"{len(self.units)} units for {len(self.targets)} tickets: expected one for each.")
        for who in ("current", "challenger"):
            object.__setattr__(self, who, _checked(getattr(self, who), self.targets, who))

    @property
    def unit_codes(self) -> IntArray:
        """A number from 0 up for each ticket, (tickets,), equal where the unit is."""
        if self.units is None:
            return np.arange(len(self.targets))
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(unit, len(numbers)) for unit in self.units], dtype=np.int64)

    @property
    def differs(self) -> BoolArray:
        """Where the two say different things, in a decision or a probability, (tickets,)."""
        different = (self.current.decided != self.challenger.decided).any(axis=1)
        if self.current.probs is not None and self.challenger.probs is not None:
            different = different | (self.current.probs != self.challenger.probs).any(axis=1)
        return np.asarray(different, dtype=np.bool_)

    @property
    def exact(self) -> tuple[BoolArray, BoolArray]:
        """Which tickets got exactly their labels from the current model and from the challenger, each (tickets,)."""
        current, challenger = ((said.decided == self.targets).all(axis=1) for said in (self.current, self.challenger))
        return current, challenger


def _checked(said: Answers, targets: Targets, who: str) -> Answers:
    decided = np.asarray(said.decided, dtype=np.bool_)
    probs = None if said.probs is None else np.asarray(said.probs, dtype=np.float32)
    for kind, found in (("decided", decided), ("probs", probs)):
        if found is not None and found.shape != targets.shape:
            raise ValueError(f"{kind} of {who} {found.shape}: expected {targets.shape}, as the targets have.")
    if probs is not None and not ((probs >= 0) & (probs <= 1)).all():
        raise ValueError(f"probs of {who}: expected finite numbers in 0..1.")
    return Answers(decided, probs)
