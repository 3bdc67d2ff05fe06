"""AutoIntent's preset `classic-light`: it tries heads and rules of decision on the encoder and keeps the best.

The labels given are those that its own rule decides on.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from autointent import Dataset, Pipeline
from autointent.configs import LoggingConfig, SentenceTransformerEmbeddingConfig

from peers.contract import Examples, Scored, Settings

NAMES = "names.json"
# Where texts may carry several labels it refuses those without any, and all where the fifth that it holds back lacks a
# label; so rarer ones are left out.
FEWEST = 8  # examples
# It keeps embeddings on the disk; those of an earlier process would make this one look fast.
KEPT = tempfile.TemporaryDirectory()
os.environ["XDG_CACHE_HOME"] = KEPT.name


@dataclass(frozen=True)
class AutoIntent:
    """A pipeline that answers in numbers, and the names of these."""

    names: list[str]
    is_multi: bool
    pipeline: Any

    def score(self, texts: Sequence[str]) -> Scored:
        """Probabilities and labels of each text; no label where it takes a text for out of scope."""
        answers = self.pipeline.predict_with_metadata(list(texts)).utterances
        probs = np.array([answer.score for answer in answers], dtype=np.float32)
        return Scored(self.names, probs, np.array([self._given(answer.prediction) for answer in answers]))

    def _given(self, prediction: Sequence[int] | int | None) -> list[bool]:
        if prediction is None:
            return [False] * len(self.names)
        if self.is_multi:
            return [bool(value) for value in prediction]
        return [place == prediction for place in range(len(self.names))]

    def save(self, folder: Path) -> None:
        """Write the pipeline, so that it reads every text anew, and the names."""
        self.pipeline.dump(folder)
        for file in folder.rglob("*.json"):  # what `load` takes instead does not reach all parts
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace('"use_cache": true', '"use_cache": false'), encoding="utf-8")
        facts = {"names": self.names, "is_multi": self.is_multi}
        (folder / NAMES).write_text(json.dumps(facts), encoding="utf-8")


def fit(examples: Examples, settings: Settings, seed: int) -> AutoIntent:
    """Search on four fifths of the examples, then learn from all of them."""
    counts = Counter(name for labels in examples.labels for name in labels)
    names = sorted(name for name, count in counts.items() if count >= FEWEST or not examples.is_multi)
    targets = (examples.targets(names) if examples.is_multi else examples.classes(names)).tolist()
    samples = [
        {"utterance": text, "label": label}
        for text, label in zip(examples.texts, targets, strict=True)
        if not examples.is_multi or any(label)
    ]
    intents = [{"id": place, "name": name} for place, name in enumerate(names)]
    pipeline = Pipeline.from_preset("classic-light", seed=seed + 1)  # it takes no 0
    pipeline.set_config(SentenceTransformerEmbeddingConfig(model_name=settings["encoder"], device="cpu"))
    pipeline.set_config(LoggingConfig(project_dir=KEPT.name))
    pipeline.fit(Dataset.from_dict({"train": samples, "intents": intents}), refit_after=True)
    return AutoIntent(names, examples.is_multi, pipeline)


def load(folder: Path, _settings: Settings) -> AutoIntent:
    """Open what `save` wrote."""
    facts = json.loads((folder / NAMES).read_text(encoding="utf-8"))
    return AutoIntent(pipeline=Pipeline.load(folder), **facts)
