"""TF-IDF over words and characters with one logistic regression per label, in scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_union

from peers.adapters import heads
from peers.contract import Examples, Scored, Settings

FILE = "tfidf.joblib"


@dataclass(frozen=True)
class TfIdf:
    """Features and a head."""

    names: list[str]
    features: Any
    head: Any

    def score(self, texts: Sequence[str]) -> Scored:
        """Probabilities of each text."""
        return Scored(self.names, heads.probabilities(self.head, self.features.transform(texts)))

    def save(self, folder: Path) -> None:
        """Write the fitted objects."""
        joblib.dump((self.names, self.features, self.head), folder / FILE)


def fit(examples: Examples, _settings: Settings, _seed: int) -> TfIdf:
    """Learn words, characters and the head."""
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
    )
    return TfIdf(examples.names, features, heads.one_vs_rest(features.fit_transform(examples.texts), examples))


def load(folder: Path, _settings: Settings) -> TfIdf:
    """Open what `save` wrote."""
    return TfIdf(*joblib.load(folder / FILE))
