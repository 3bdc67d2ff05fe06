"""What every kind of scorer takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tagdesk.arrays import BoolArray, FloatArray, IntArray, Probs, Targets
from tagdesk.errors import ArtefactError

TIERS: Final = ("fast", "balanced", "exact")  # how much a scorer may leave out for speed; each has the last
Progress: TypeAlias = Callable[[str, int, int], None]  # what is done, steps done, steps in all


def silent(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a scorer says of some texts.

    Attributes:
        probs: (tickets, labels), uncalibrated probabilities in 0..1, always finite.
        truncated: (tickets,), True where the text was longer than the scorer reads.
        unknown: (tickets,), share of the text's tokens that the scorer has never seen, 0..1.
    """

    probs: Probs
    truncated: BoolArray
    unknown: FloatArray


@dataclass(frozen=True, slots=True)
class Examples:
    """Cleaned texts with their targets (tickets, labels)."""

    texts: Sequence[str]
    targets: Targets

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.targets):
            raise ValueError(f"{len(self.texts)} texts with {len(self.targets)} rows of targets; expected as many.")

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: IntArray) -> Examples:
        """The examples at the given rows, in that order."""
        return Examples([self.texts[row] for row in rows], self.targets[rows])


@runtime_checkable
class Scorer(Protocol):
    """Texts to probabilities; a few files on disk. The one seam between engines and the rest of the house."""

    kind: ClassVar[str]

    def score(self, texts: Sequence[str]) -> Scores:
        """Probabilities for cleaned texts, in their order; a text's scores do not depend on its neighbours."""
        ...

    def passages(self, text: str) -> list[str]:
        """A cleaned text that `score` cuts off, in parts that it does not; the first is what it reads anyway."""
        ...

    def save(self, folder: Path) -> None:
        """Write the scorer's own files into an existing folder: plain arrays, ONNX or safetensors, JSON."""
        ...

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Build the scorer from a folder whose checksums were verified; raises ArtefactError."""
        ...


def sigmoid(logits: NDArray[np.float32]) -> Probs:
    """1 / (1 + exp(-x)), without overflow; raises ArtefactError for what is no finite number.

    >>> sigmoid(np.array([0.0, 800.0, -800.0], dtype=np.float32)).tolist()
    [0.5, 1.0, 0.0]
    """
    if not np.isfinite(logits).all():
        raise ArtefactError(
            "The model gives scores that are not finite. Its weights are damaged: train or export it again.",
            code="model_unhealthy",
        )
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)


def out_of_fold(
    examples: Examples,
    folds: Sequence[IntArray],
    fit: Callable[[Examples], Scorer],
    progress: Progress = silent,
) -> Probs:
    """Scores of every example by a scorer that never saw its fold, (tickets, labels).

    `folds` holds disjoint rows that together cover all examples.
    """
    probs = np.zeros(examples.targets.shape, dtype=np.float32)
    everything = np.arange(len(examples))
    for done, held_out in enumerate(folds):
        progress("folds", done, len(folds))
        seen = np.setdiff1d(everything, held_out)
        scorer = fit(examples.take(seen))
        probs[held_out] = scorer.score([examples.texts[row] for row in held_out]).probs
    progress("folds", len(folds), len(folds))
    return probs
