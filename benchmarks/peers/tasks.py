"""Public tasks to learn and to be judged by, drawn by a seed, the same for every peer."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from peers.contract import Examples

SEED_TICKETS = "seed_tickets"
GOEMOTIONS = "goemotions"


@dataclass(frozen=True)
class Task:
    """Where a task lies and how much of it is used.

    Attributes:
        name: As tables show it.
        folder: With train.csv and test.csv, below the public data.
        is_multi: Whether a text may carry several labels, or none.
        shots: Examples of each label that are learned from; None: not drawn by label.
        learned: Examples that are learned from, at most.
        judged: Examples of the test file that peers are judged by, at most; the same for every seed.
    """

    name: str
    folder: Path
    is_multi: bool
    shots: int | None = None
    learned: int | None = None
    judged: int | None = None

    def train(self, data: Path, seed: int) -> Examples:
        """What this seed gives to learn from."""
        examples = self._read(data, "train")
        rng = np.random.default_rng(seed)
        if self.shots is not None:
            return taken(examples, _few_of_each(examples, self.shots, rng))
        return taken(examples, _some(len(examples), self.learned, rng))

    def test(self, data: Path) -> Examples:
        """What all seeds are judged by."""
        examples = self._read(data, "test")
        return taken(examples, _some(len(examples), self.judged, np.random.default_rng(0)))

    def labels(self, data: Path) -> list[str]:
        """All labels of the task, also those that a draw may lack."""
        return self._read(data, "train").names

    def _read(self, data: Path, part: str) -> Examples:
        with (data / self.folder / f"{part}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        labels = [[name for name in row["labels"].split("|") if name] for row in rows]
        return Examples([row["text"] for row in rows], labels, self.is_multi)


def tasks(goemotions: int | None) -> dict[str, Task]:
    """The tasks by name; of goemotions so many examples are learned from, or all of them."""
    benchmarks = Path("benchmarks")
    found = [
        Task(SEED_TICKETS, Path("seed_tickets"), is_multi=True),
        Task("banking77", benchmarks / "banking77", is_multi=False, shots=10),
        Task("clinc150", benchmarks / "clinc150", is_multi=False, shots=10),
        Task(GOEMOTIONS, benchmarks / "goemotions", is_multi=True, learned=goemotions, judged=1000),
    ]
    return {task.name: task for task in found}


def taken(examples: Examples, places: NDArray[np.int64]) -> Examples:
    """The examples at these places."""
    return Examples(
        [examples.texts[place] for place in places], [examples.labels[place] for place in places], examples.is_multi
    )


def _some(n: int, most: int | None, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.arange(n) if most is None else np.sort(rng.permutation(n)[:most])


def _few_of_each(examples: Examples, shots: int, rng: np.random.Generator) -> NDArray[np.int64]:
    places = defaultdict(list)
    for place, labels in enumerate(examples.labels):
        places[labels[0]].append(place)
    drawn = [rng.permutation(places[name])[:shots] for name in sorted(places)]
    return np.sort(np.concatenate(drawn))
