"""What a peer takes and gives: examples in, probabilities out; the same on both sides of the pipe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Settings: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class Examples:
    """Texts and the labels of each; `is_multi` says whether a text may carry several labels, or none."""

    texts: Sequence[str]
    labels: Sequence[Sequence[str]]
    is_multi: bool

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def names(self) -> list[str]:
        """The labels that occur, in alphabetical order."""
        return sorted({name for names in self.labels for name in names})

    def targets(self, names: Sequence[str]) -> NDArray[np.int64]:
        """1 where a text carries a label, (texts, names)."""
        return np.array([[int(name in carried) for name in names] for carried in self.labels])

    def classes(self, names: Sequence[str]) -> NDArray[np.int64]:
        """The place of each text's only label among the names, (texts,)."""
        return np.array([names.index(carried[0]) for carried in self.labels])

    def write(self, file: Path) -> None:
        """As one JSON document."""
        file.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Self:
        """From what `write` wrote."""
        return cls(**json.loads(file.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Scored:
    """Probabilities (texts, names); `given` (texts, names) are the labels given where the peer has a rule for that."""

    names: Sequence[str]
    probs: NDArray[np.float32]
    given: NDArray[np.bool_] | None = None

    def write(self, file: Path) -> None:
        """As arrays by name."""
        arrays = {"names": np.array(self.names), "probs": self.probs}
        if self.given is not None:
            arrays["given"] = self.given
        with file.open("wb") as out:
            np.savez(out, allow_pickle=False, **arrays)

    @classmethod
    def read(cls, file: Path) -> Self:
        """From what `write` wrote."""
        with np.load(file) as arrays:
            return cls(arrays["names"].tolist(), arrays["probs"], arrays.get("given"))


class Classifier(Protocol):
    """A trained peer."""

    def score(self, texts: Sequence[str]) -> Scored:
        """The probabilities of all labels for each text."""

    def save(self, folder: Path) -> None:
        """Write all that `load` needs into a folder that exists and is empty."""


class Adapter(Protocol):
    """A module that makes one library speak this contract."""

    def fit(self, examples: Examples, settings: Settings, seed: int) -> Classifier:
        """Learn from examples."""

    def load(self, folder: Path, settings: Settings) -> Classifier:
        """Open what `save` wrote."""
