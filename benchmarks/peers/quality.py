"""What the labels of a peer are worth, judged by the same code for all."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from peers.contract import Examples, Scored
from peers.peer import Peer, Worker
from peers.tasks import Task

THRESHOLD = 0.5  # of peers that have no rule of their own
FIGURES = ("f1_macro", "f1_micro", "exact_match", "average_precision", "accuracy", "train_seconds", "peak_megabytes")


def learned(
    peer: Peer, task: Task, data: Path, seeds: Sequence[int], open_worker: Callable[[Peer], Worker]
) -> dict[str, Any]:
    """The row of a peer and a task: each seed's figures, and their medians."""
    test, names = task.test(data), task.labels(data)
    lessons = {seed: task.train(data, seed) for seed in (seeds if peer.learns else seeds[:1])}
    runs = []
    for seed, train in lessons.items():
        with tempfile.TemporaryDirectory() as name, open_worker(peer) as worker:
            folder = Path(name)
            train.write(folder / "train.json")
            test.write(folder / "test.json")
            settings = dict(peer.settings)
            trained = worker.ask("train", file=str(folder / "train.json"), settings=settings, seed=seed)
            worker.ask("evaluate", file=str(folder / "test.json"), out=str(folder / "scored.npz"))
            figures = judged(test, names, Scored.read(folder / "scored.npz"))
            facts = worker.ask("facts")
        spent = {"train_seconds": trained["seconds"]} if peer.learns else {}
        runs.append({"seed": seed, **figures, **spent, "peak_megabytes": facts["peak_megabytes"]})
    return {
        "peer": peer.name,
        "task": task.name,
        "learned": max(map(len, lessons.values())) if peer.learns else 0,
        "judged": len(test),
        "runs": runs,
        **{figure: median(runs, figure) for figure in FIGURES},
    }


def judged(test: Examples, names: Sequence[str], scored: Scored) -> dict[str, float]:
    """Figures from a peer's output; a label that it has not learned gets a probability of 0."""
    probs = columns(scored, scored.probs, names)
    if not test.is_multi:
        truth, best = test.classes(names), probs.argmax(axis=1)
        return {
            "accuracy": float(accuracy_score(truth, best)),
            "f1_macro": float(f1_score(truth, best, average="macro", zero_division=0)),
        }
    truth = test.targets(names)
    given = probs >= THRESHOLD if scored.given is None else columns(scored, scored.given, names)
    occurring = truth.any(axis=0)
    return {
        "f1_macro": float(f1_score(truth, given, average="macro", zero_division=0)),
        "f1_micro": float(f1_score(truth, given, average="micro", zero_division=0)),
        "exact_match": float(accuracy_score(truth, given)),
        "average_precision": float(average_precision_score(truth[:, occurring], probs[:, occurring], average="macro")),
    }


def columns(scored: Scored, values: NDArray[Any], names: Sequence[str]) -> NDArray[Any]:
    """The values of a peer in the order of these names, (texts, names)."""
    ordered = np.zeros((len(values), len(names)), dtype=values.dtype)
    for place, name in enumerate(scored.names):
        ordered[:, names.index(name)] = values[:, place]
    return ordered


def median(runs: Sequence[dict[str, float]], figure: str) -> float | None:
    """The median over the seeds; None where the task has no such figure."""
    values = [run[figure] for run in runs if figure in run]
    return statistics.median(values) if values else None
