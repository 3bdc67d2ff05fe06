"""The text-classification pipeline of transformers in batches of 32, on the encoder's weights with a random head.

Only the time is measured: nothing is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, BertForSequenceClassification, pipeline

from peers.contract import Examples, Scored, Settings

BATCH = 32
TOKENS = 512


@dataclass(frozen=True)
class Pipeline:
    """The library's own pipeline."""

    whole: Any

    def score(self, texts: Sequence[str]) -> Scored:
        """Probabilities of each text."""
        answers = self.whole(list(texts), batch_size=BATCH, truncation=True, max_length=TOKENS)
        names = sorted(self.whole.model.config.id2label.values())
        found = [{answer["label"]: answer["score"] for answer in answers_of_one} for answers_of_one in answers]
        return Scored(names, np.array([[scores[name] for name in names] for scores in found], dtype=np.float32))

    def save(self, folder: Path) -> None:
        """Write network and tokenizer."""
        self.whole.model.save_pretrained(folder)
        self.whole.tokenizer.save_pretrained(folder)


def fit(examples: Examples, settings: Settings, seed: int) -> Pipeline:
    """Put a random head on the encoder."""
    torch.manual_seed(seed)
    network = BertForSequenceClassification.from_pretrained(
        settings["encoder"],
        id2label=dict(enumerate(examples.names)),
        problem_type="multi_label_classification",
    )
    return made(network, AutoTokenizer.from_pretrained(settings["encoder"]))


def load(folder: Path, _settings: Settings) -> Pipeline:
    """Open what `save` wrote."""
    return made(BertForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder))


def made(network: Any, tokenizer: Any) -> Pipeline:
    """All labels with their sigmoid."""
    return Pipeline(
        pipeline(
            "text-classification",
            model=network,
            tokenizer=tokenizer,
            device="cpu",
            top_k=None,
            function_to_apply="sigmoid",
        )
    )
