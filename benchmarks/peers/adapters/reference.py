"""The classic: BERT base, one ticket at a time, padded to 128 tokens.

The weights are random, as only the time that they take is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from peers.contract import Examples, Scored, Settings

TOKENS = 128


@dataclass(frozen=True)
class Reference:
    """A network and its tokenizer."""

    tokenizer: Any
    network: Any

    def score(self, texts: Sequence[str]) -> Scored:
        """Probabilities of each text."""
        rows = []
        with torch.inference_mode():
            for text in texts:
                inputs = self.tokenizer(
                    text, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
                )
                rows.append(torch.sigmoid(self.network(**inputs).logits))
        names = self.network.config.id2label
        return Scored([names[place] for place in range(len(names))], torch.cat(rows).numpy())

    def save(self, folder: Path) -> None:
        """Write network and tokenizer."""
        self.network.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def fit(examples: Examples, settings: Settings, seed: int) -> Reference:
    """Draw weights; nothing is learned. The encoder's tokenizer is that of `bert-base-uncased`."""
    torch.manual_seed(seed)
    config = BertConfig(id2label=dict(enumerate(examples.names)), problem_type="multi_label_classification")
    tokenizer = AutoTokenizer.from_pretrained(settings["encoder"])
    return Reference(tokenizer, BertForSequenceClassification(config).eval())


def load(folder: Path, _settings: Settings) -> Reference:
    """Open what `save` wrote."""
    network = BertForSequenceClassification.from_pretrained(folder)
    return Reference(AutoTokenizer.from_pretrained(folder), network.eval())
