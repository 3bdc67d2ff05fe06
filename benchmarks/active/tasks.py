"""Public tasks to ask about, the same texts for every seed, as a frozen encoder sees them."""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from own import own_rows
from tagdesk.arrays import Embeddings, Targets
from tagdesk.scorers import Recipe
from tagdesk.scorers.probe import open_graph, see
from tagdesk.text import clean

CACHE = Path(__file__).resolve().parents[2] / "build" / "active"
STRENGTHS = {"banking77": 30.0, "clinc150": 30.0, "goemotions": 3.0, "own tickets": 10.0}
Rows = list[tuple[str, list[str]]]  # text and labels


@dataclass(frozen=True)
class Part:
    """Texts as embeddings (texts, width), with their labels (texts, labels)."""

    seen: Embeddings
    targets: Targets


@dataclass(frozen=True)
class Task:
    """What is asked about, what cuts and stops follow from, and what figures are measured on.

    `strength` is the C of the task's heads: 10 as in benchmarks/probe.py, but 30 for intents and 3 for GoEmotions. Of
    1, 3, 10 and 30 these gave the best macro F1 with everything labelled in the development part.
    """

    name: str
    labels: list[str]
    pool: Part
    reserve: Part
    test: Part
    strength: float


def read_task(name: str, source: tuple[Rows, Rows | None], arguments: argparse.Namespace) -> Task:
    """Cut a source into pool, reserve and test, the same for every seed, and read its texts."""
    rows, test = source
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    reserve, rest = order[: arguments.reserve], order[arguments.reserve :]
    cut = [rows[place] for place in rest]
    if test is None:  # there is no part to judge by: it is cut off
        test, cut = cut[: len(cut) // 4], cut[len(cut) // 4 :]
    parts = {
        "pool": cut[: arguments.pool],
        "reserve": [rows[place] for place in reserve],
        "test": [test[place] for place in np.random.default_rng(0).permutation(len(test))[: arguments.judged]],
    }
    labels = sorted({label for part in parts.values() for _, given in part for label in given})
    found = {part: _part(f"{name}-{part}", rows, labels) for part, rows in parts.items()}
    return Task(name, labels, **found, strength=STRENGTHS[name])


def _part(name: str, rows: Rows, labels: Sequence[str]) -> Part:
    targets = np.array([[label in given for label in labels] for _, given in rows], dtype=np.bool_)
    return Part(embedded(name, [clean(text).text or "." for text, _ in rows]), targets)


def embedded(name: str, texts: Sequence[str], encoder: str = "all-MiniLM-L6-v2") -> Embeddings:
    """The encoder's view of the texts, kept in build/active."""
    key = hashlib.sha256("\0".join([encoder, *texts]).encode()).hexdigest()[:12]
    file = CACHE / f"{name}-{key}.npz"
    if not file.is_file():
        started = time.monotonic()
        recipe = Recipe(kind="probe", encoder=encoder, middle=False)
        seen = see(open_graph(recipe), texts, recipe).views[0]
        CACHE.mkdir(parents=True, exist_ok=True)
        np.savez(file, seen=seen.astype(np.float16), allow_pickle=False)
        print(f"{name}: {len(texts)} texts read in {time.monotonic() - started:.0f} s", flush=True)
    with np.load(file, allow_pickle=False) as arrays:
        return np.asarray(arrays["seen"], dtype=np.float32)


def _csv(file: Path) -> Rows:
    with file.open(encoding="utf-8", newline="") as opened:
        return [(row["text"], [name for name in row["labels"].split("|") if name]) for row in csv.DictReader(opened)]


def _public(train: str, test: str | None) -> Callable[[Path], tuple[Rows, Rows | None]]:
    return lambda data: (_csv(data / "benchmarks" / train), _csv(data / "benchmarks" / test) if test else None)


def _own(remainder: int) -> tuple[Rows, Rows]:
    """The tickets of every other writer, and the test part of all."""
    written = [row for row in own_rows("train") if row["batch"].startswith("writer ")]
    some = [row for row in written if int(row["batch"].split()[1]) % 2 == remainder]
    return [(row["text"], row["labels"]) for row in some], [(row["text"], row["labels"]) for row in own_rows("test")]


SOURCES: dict[str, dict[str, Callable[[Path], tuple[Rows, Rows | None]]]] = {
    "report": {
        "banking77": _public("banking77/train.csv", "banking77/test.csv"),
        "goemotions": _public("goemotions/train.csv", "goemotions/test.csv"),
        "own tickets": lambda _: _own(1),
    },
    "development": {
        "clinc150": _public("clinc150/train.csv", "clinc150/validation.csv"),
        "goemotions": _public("goemotions/validation.csv", None),
        "own tickets": lambda _: (_own(0)[0], None),
    },
}
