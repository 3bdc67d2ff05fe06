"""Texts to measure speed on: the project's own test tickets, and texts of a given length made of their words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from own import own_rows
from peers.contract import Examples

# Words in each text, and how many such texts there are: nearly as many words in all. None: the tickets as they are.
SETS: dict[str, tuple[int | None, int]] = {
    "tickets": (None, 1000),
    "10 words": (10, 1000),
    "50 words": (50, 200),
    "250 words": (250, 40),
}
ALONE = "one at a time"
LENGTH_ALONE = (20, 200)  # the same, of what is read one at a time


@dataclass(frozen=True)
class TextSet:
    """Texts under a name, no two alike, in files: one that workers read, one that `tagdesk classify` reads."""

    name: str
    texts: Sequence[str]
    folder: Path

    @property
    def file(self) -> Path:
        """Where workers find the texts."""
        return self.folder / f"{self.name}.json"

    @property
    def tickets(self) -> Path:
        """Where the command line finds them."""
        return self.folder / f"{self.name}.jsonl"

    def part(self, fraction: int) -> TextSet:
        """Every so many-th text."""
        if fraction == 1:
            return self
        return written(f"{self.name}, 1 in {fraction}", self.texts[::fraction], self.folder)


def text_sets(folder: Path, fraction: int) -> dict[str, TextSet]:
    """All sets by name, and what is read one at a time; of each, one text in as many."""
    rows = [row["text"] for row in own_rows("test")]
    lengths = {**SETS, ALONE: LENGTH_ALONE}
    return {name: written(name, lengthened(rows, words, n)[::fraction], folder) for name, (words, n) in lengths.items()}


def lengthened(sentences: Sequence[str], words: int | None, n: int) -> list[str]:
    """As many different texts of as many words, cut from the sentences in an order drawn for that length."""
    rng = np.random.default_rng(words or 0)
    if words is None:
        return [sentences[place] for place in rng.permutation(len(sentences))[:n]]
    texts: dict[str, None] = {}
    spoken: list[str] = []
    while len(texts) < n:
        for place in rng.permutation(len(sentences)):
            spoken += sentences[place].split()
            if len(spoken) >= words:
                texts[" ".join(spoken[:words])] = None
                spoken = []
    return list(texts)[:n]


def written(name: str, texts: Sequence[str], folder: Path) -> TextSet:
    """The set, with its files."""
    made = TextSet(name, texts, folder)
    folder.mkdir(parents=True, exist_ok=True)
    Examples(texts, [[] for _ in texts], is_multi=True).write(made.file)
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    made.tickets.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made
