"""Sentence-transformers with a logistic regression on the frozen embeddings.

One regression per label where a text may carry several; else a multinomial one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from sentence_transformers import SentenceTransformer

from peers.adapters import heads
from peers.contract import Examples, Scored, Settings

FILE = "head.joblib"


@dataclass(frozen=True)
class EncoderWithHead:
    """A frozen encoder and a head."""

    names: list[str]
    encoder: SentenceTransformer
    head: Any

    def score(self, texts: Sequence[str]) -> Scored:
        """Probabilities of each text; batches of 32, texts in order of length, as the library does by itself."""
        return Scored(self.names, heads.probabilities(self.head, embedded(self.encoder, texts)))

    def save(self, folder: Path) -> None:
        """Write the head; the encoder lies where it lay."""
        joblib.dump((self.names, self.head), folder / FILE)


def fit(examples: Examples, settings: Settings, _seed: int) -> EncoderWithHead:
    """Learn a head."""
    encoder = opened(settings)
    learn = heads.one_vs_rest if examples.is_multi else heads.multinomial
    return EncoderWithHead(examples.names, encoder, learn(embedded(encoder, examples.texts), examples))


def load(folder: Path, settings: Settings) -> EncoderWithHead:
    """Open encoder and head."""
    names, head = joblib.load(folder / FILE)
    return EncoderWithHead(names, opened(settings), head)


def opened(settings: Settings) -> SentenceTransformer:
    """The encoder of a folder."""
    return SentenceTransformer(settings["encoder"], device="cpu")


def embedded(encoder: SentenceTransformer, texts: Sequence[str]) -> Any:
    """(texts, width)."""
    return encoder.encode(list(texts), show_progress_bar=False)
