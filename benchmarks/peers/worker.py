"""Answers questions about one peer: a line of JSON in, a line of JSON out, until the input ends.

python -m peers.worker ADAPTER --threads N; everything that libraries print goes to stderr.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from peers.contract import Adapter, Classifier, Examples

# Of these a peer's versions are told, where they are installed.
PACKAGES = (
    "tagdesk",
    "setfit",
    "autointent",
    "sentence-transformers",
    "transformers",
    "torch",
    "onnxruntime",
    "scikit-learn",
    "numpy",
)


def main() -> None:
    """Serve until the driver closes the pipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapter")
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    keep_to(arguments.threads)
    session = Session(cast("Adapter", importlib.import_module(f"peers.adapters.{arguments.adapter}")))
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = session.answers[question.pop("do")](**question)
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is for the driver to tell
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def keep_to(threads: int) -> None:
    """Let torch use as many threads; other libraries read the environment."""
    if importlib.util.find_spec("torch"):
        import torch  # noqa: PLC0415 - not every peer has it

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)


class Session:
    """One classifier and what can be asked about it."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.answers: dict[str, Callable[..., dict[str, Any]]] = {
            "train": self.train,
            "save": self.save,
            "load": self.load,
            "score": self.score,
            "latency": self.latency,
            "evaluate": self.evaluate,
            "facts": self.facts,
        }
        self._classifier: Classifier | None = None

    @property
    def classifier(self) -> Classifier:
        """What was trained or loaded last."""
        if self._classifier is None:
            raise RuntimeError("There is no classifier yet: ask to train or to load one first.")
        return self._classifier

    def train(self, file: str, settings: dict[str, str], seed: int) -> dict[str, Any]:
        """Learn from a file of examples."""
        examples = Examples.read(Path(file))
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - what peers draw from
        started = time.perf_counter()
        self._classifier = self.adapter.fit(examples, settings, seed)
        return {"seconds": time.perf_counter() - started}

    def save(self, folder: str) -> dict[str, Any]:
        """Write the classifier into an empty folder."""
        self.classifier.save(Path(folder))
        return {}

    def load(self, folder: str, settings: dict[str, str]) -> dict[str, Any]:
        """Open what was saved."""
        self._classifier = self.adapter.load(Path(folder), settings)
        return {}

    def score(self, file: str) -> dict[str, Any]:
        """Score all texts of a file at once."""
        texts = Examples.read(Path(file)).texts
        started = time.perf_counter()
        self.classifier.score(texts)
        return {"seconds": time.perf_counter() - started}

    def latency(self, file: str, n: int) -> dict[str, Any]:
        """Score the first n texts of a file, one at a time."""
        milliseconds = []
        for text in Examples.read(Path(file)).texts[:n]:
            started = time.perf_counter()
            self.classifier.score([text])
            milliseconds.append(1000 * (time.perf_counter() - started))
        return {"milliseconds": milliseconds}

    def evaluate(self, file: str, out: str) -> dict[str, Any]:
        """Score the texts of a file and write the probabilities for the driver to judge."""
        started = time.perf_counter()
        scored = self.classifier.score(Examples.read(Path(file)).texts)
        seconds = time.perf_counter() - started
        scored.write(Path(out))
        return {"seconds": seconds}

    def facts(self) -> dict[str, Any]:
        """The most memory that this process ever held, and the versions of what it runs."""
        found = {package: _version(package) for package in PACKAGES}
        versions = {package: version for package, version in found.items() if version is not None}
        return {"peak_megabytes": _peak_megabytes(), "versions": versions}


def _peak_megabytes() -> float:
    # Not getrusage: its peak counts the process that forked this one.
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024 / 1e6


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
