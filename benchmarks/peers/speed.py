"""Measures time and memory in rounds that take turns, so that what else the machine does befalls all alike."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from peers.environments import megabytes, python
from peers.peer import Peer, Worker, surroundings
from peers.texts import TextSet

QUESTION = "I was charged twice and the parcel never came, please send my money back"
WARM_UP = 32  # texts


class Subject(Protocol):
    """What is measured; times are in seconds but for `latency`, which is in milliseconds."""

    @property
    def peer(self) -> Peer:
        """Whom the figures speak of."""

    @property
    def sets(self) -> Sequence[str]:
        """The names of the sets it is measured on."""

    def score(self, texts: TextSet) -> float:
        """How long all the texts take."""

    def latency(self, texts: TextSet) -> list[float]:
        """How long each of them takes by itself; none where that makes no sense."""

    def cold_start(self) -> float:
        """From the start of a process to its first answer."""

    def facts(self) -> Mapping[str, Any]:
        """`peak_megabytes` and `versions`."""


@dataclass(frozen=True)
class Kept:
    """A peer whose process is kept alive."""

    worker: Worker
    model: Path
    open_worker: Callable[[Peer], Worker]
    question: TextSet
    sets: Sequence[str]

    @property
    def peer(self) -> Peer:
        """Whom the figures speak of."""
        return self.worker.peer

    def score(self, texts: TextSet) -> float:
        """How long all the texts take."""
        return float(self.worker.ask("score", file=str(texts.file))["seconds"])

    def latency(self, texts: TextSet) -> list[float]:
        """How long each of them takes by itself."""
        answer = self.worker.ask("latency", file=str(texts.file), n=len(texts.texts))
        return list(answer["milliseconds"])

    def cold_start(self) -> float:
        """From the start of another process to its first answer."""
        started = time.perf_counter()
        with self.open_worker(self.peer) as worker:
            worker.ask("load", folder=str(self.model), settings=dict(self.peer.settings))
            worker.ask("score", file=str(self.question.file))
            return time.perf_counter() - started

    def facts(self) -> Mapping[str, Any]:
        """The worker's memory and versions."""
        return self.worker.ask("facts")


@dataclass(frozen=True)
class CommandLine:
    """The program `tagdesk`, a process for each file."""

    peer: Peer
    threads: int
    sets: Sequence[str]

    def score(self, texts: TextSet) -> float:
        """From the start of the process to its end."""
        with tempfile.TemporaryDirectory() as folder:
            return self._seconds("classify", str(texts.tickets), f"{folder}/out.jsonl", *self._model())

    def latency(self, texts: TextSet) -> list[float]:  # noqa: ARG002 - the shape of a subject
        """Nothing: a process reads a file."""
        return []

    def cold_start(self) -> float:
        """One ticket."""
        return self._seconds("predict", QUESTION, *self._model())

    def facts(self) -> Mapping[str, Any]:
        """Nothing that the peer in Python does not tell."""
        return {"peak_megabytes": None, "versions": {}}

    def _model(self) -> tuple[str, str]:
        return "--model", self.peer.settings["model"]

    def _seconds(self, *arguments: str) -> float:
        program = python(self.peer.environment).with_name("tagdesk")
        started = time.perf_counter()
        subprocess.run([program, *arguments], check=True, capture_output=True, env=surroundings(self.threads))
        return time.perf_counter() - started


@dataclass(frozen=True)
class Measured:
    """Rows by "peer | set" and by peer."""

    speed: dict[str, dict[str, Any]]
    processes: dict[str, dict[str, Any]]


def measured(subjects: Sequence[Subject], sets: Mapping[str, TextSet], alone: TextSet, rounds: int) -> Measured:
    """Ask all subjects in turn, as many rounds.

    Args:
        subjects: Those to compare.
        sets: Texts to score all at once.
        alone: Texts to score one at a time.
        rounds: How often.
    """
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    waits: dict[str, list[float]] = defaultdict(list)
    starts: dict[str, list[float]] = defaultdict(list)
    for subject in subjects:  # nothing is measured yet: caches fill, kernels are chosen
        subject.score(sets["tickets"].part(max(1, len(sets["tickets"].texts) // WARM_UP)))
    for number in range(rounds):
        for name, texts in sets.items():
            for subject in subjects:
                if name in subject.sets:
                    part = texts.part(subject.peer.fraction)
                    rates[subject.peer.name, name].append(len(part.texts) / subject.score(part))
        for subject in subjects:
            waits[subject.peer.name] += subject.latency(alone.part(subject.peer.fraction))
            starts[subject.peer.name].append(subject.cold_start())
        print(f"round {number + 1} of {rounds}", flush=True)
    speed = {
        f"{peer} | {name}": {"peer": peer, "set": name, **spread(values)} for (peer, name), values in rates.items()
    }
    processes = {
        subject.peer.name: process(subject, waits[subject.peer.name], starts[subject.peer.name]) for subject in subjects
    }
    return Measured(speed, processes)


def process(subject: Subject, waits: Sequence[float], starts: Sequence[float]) -> dict[str, Any]:
    """What one process costs."""
    return {
        "peer": subject.peer.name,
        "note": subject.peer.note,
        "tickets_alone": len(waits),
        "p50_milliseconds": float(np.percentile(waits, 50)) if waits else None,
        "p99_milliseconds": float(np.percentile(waits, 99)) if waits else None,
        "cold_start_seconds": statistics.median(starts),
        "installed_megabytes": megabytes(subject.peer.environment),
        **subject.facts(),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and both ends, in texts a second."""
    return {
        "median": statistics.median(values),
        "lowest": min(values),
        "highest": max(values),
        "rounds": len(values),
    }
