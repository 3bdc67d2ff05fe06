"""SetFit with its defaults, but for the number of steps: all pairs of hundreds of texts take a CPU hours to learn.

Its head is one-vs-rest where a text may carry several labels.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments

from peers.contract import Examples, Scored, Settings

NAMES = "names.json"


@dataclass(frozen=True)
class SetFit:
    """A model that answers in numbers, and the names of these."""

    names: list[str]
    model: Any

    def score(self, texts: Sequence[str]) -> Scored:
        """Probabilities of each text; batches of 32, texts in order of length, as the library does by itself."""
        probs = self.model.predict_proba(list(texts), as_numpy=True, show_progress_bar=False)
        return Scored(self.names, probs.astype(np.float32))

    def save(self, folder: Path) -> None:
        """Write encoder, head and names."""
        self.model.save_pretrained(folder)
        (folder / NAMES).write_text(json.dumps(self.names), encoding="utf-8")


def fit(examples: Examples, settings: Settings, seed: int) -> SetFit:
    """Fine-tune the encoder on pairs of texts, then fit the head."""
    names = examples.names
    targets = examples.targets(names) if examples.is_multi else examples.classes(names)
    strategy = "one-vs-rest" if examples.is_multi else None
    model = SetFitModel.from_pretrained(settings["encoder"], multi_target_strategy=strategy, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=int(settings["steps"]), seed=seed, save_strategy="no", report_to="none"
        )
        learned = Dataset.from_dict({"text": list(examples.texts), "label": targets.tolist()})
        Trainer(model=model, args=arguments, train_dataset=learned).train()
    return SetFit(names, model)


def load(folder: Path, _settings: Settings) -> SetFit:
    """Open what `save` wrote."""
    names = json.loads((folder / NAMES).read_text(encoding="utf-8"))
    return SetFit(names, SetFitModel.from_pretrained(str(folder), device="cpu"))
