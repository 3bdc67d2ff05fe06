"""A peer as the driver knows it, and the process in which it lives."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from peers.environments import BENCHMARKS, BUILD, python

# What libraries read when they count threads, and what keeps them from asking a model hub.
COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
SILENT = {"WANDB_MODE": "disabled", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "true"}


@dataclass(frozen=True)
class Peer:
    """What to run and how.

    Attributes:
        name: As tables show it.
        environment: The virtual environment it lives in, a file in requirements/.
        adapter: The module in adapters/ that speaks for it.
        settings: What the adapter needs to know.
        hurried: Settings for a training after which only the speed matters.
        tasks: Those on which its labels are worth judging.
        learns: Whether it learns them; else it answers by what it has learned before.
        fraction: One text in as many is enough of a load for it.
        note: What a reader of its figures should know.
    """

    name: str
    environment: str
    adapter: str
    settings: Mapping[str, str] = field(default_factory=dict)
    hurried: Mapping[str, str] = field(default_factory=dict)
    tasks: Sequence[str] = ()
    learns: bool = True
    fraction: int = 1
    note: str = ""


class PeerError(Exception):
    """A peer that could not do what it was asked for."""


class Worker:
    """A process that answers for one peer; use it in a `with` block."""

    def __init__(self, peer: Peer, threads: int) -> None:
        self.peer = peer
        scratch = BUILD / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        self.log = scratch / f"{peer.name.replace(' ', '-')}.log"
        with self.log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [python(peer.environment), "-m", "peers.worker", peer.adapter, "--threads", str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=scratch,
                env=surroundings(threads),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """The worker's answer; raises PeerError where it has none."""
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps({"do": do, **details}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerError(f"{self.peer.name} ended while it was asked to {do}; see {self.log}.")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self.peer.name} cannot {do}: {answer['error']}")
        return answer


def surroundings(threads: int) -> dict[str, str]:
    """The environment of every peer's process."""
    counts = dict.fromkeys(COUNTS, str(threads))
    return {**os.environ, **counts, **OFFLINE, **SILENT, "PYTHONPATH": str(BENCHMARKS)}
