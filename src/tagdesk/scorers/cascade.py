"""Lets a small graph score what it is sure of, and a large one the rest."""

from __future__ import annotations

import copy
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tagdesk.arrays import Embeddings, FloatArray
from tagdesk.encoders.onnx import TextGraph
from tagdesk.errors import ArtefactError
from tagdesk.scorers import onnx
from tagdesk.scorers.base import TIERS, Scores, sigmoid

QUICK, LARGE = "quick.onnx", "model.onnx"
FILES = (QUICK, LARGE, "tokenizer.json")


@dataclass(frozen=True, slots=True)
class Settings:
    """When the small graph is sure.

    Attributes:
        max_tokens: where both graphs cut longer texts.
        cuts: the logit of each column at which a decision turns, (columns,).
        margins: for `fast` and `balanced`, the distance in logits from every cut beyond which the small graph's word
            counts.
        tier: which of `TIERS` a model is opened with.
    """

    max_tokens: int
    cuts: tuple[float, ...]
    margins: Mapping[str, float]
    tier: str

    def margin_of(self, tier: str) -> float:
        """The margin of a tier; that of `exact` is infinite, so that the small graph is never asked."""
        return math.inf if tier == "exact" else self.margins[tier]


class CascadeScorer:
    """Two graphs over the same tokens, both with an output `logits` of one number per label.

    In the tier `exact` the large one reads every text. In the others the small one reads all first, and the large one
    those for which a logit of the small one lies within the tier's margin of its cut. The small one's logits were
    brought to the scale of the large one's, so that one calibration serves both.
    """

    kind: ClassVar[str] = "cascade"

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self.tier = settings.tier
        self._quick = TextGraph(folder, settings.max_tokens, file=QUICK)
        self._large = TextGraph(folder, settings.max_tokens, file=LARGE)
        columns = {graph.widths.get("logits") for graph in (self._quick, self._large)}
        if columns != {len(settings.cuts)}:
            raise ArtefactError(
                f"{folder}: the graphs give {sorted(map(str, columns))} logits, and scorer.json has "
                f"{len(settings.cuts)} cuts. Build the model again.",
                code="label_mismatch",
            )

    def at(self, tier: str) -> Self:
        """The same graphs, read in another of `TIERS`."""
        other = copy.copy(self)
        other.tier = tier
        return other

    def score(self, texts: Sequence[str]) -> Scores:
        """Probabilities for cleaned texts, in their order."""
        margin = self.settings.margin_of(self.tier)
        if math.isinf(margin):
            reading = self._large.read(texts, ["logits"])
            return Scores(sigmoid(reading.outputs[0]), reading.truncated, reading.unknown)
        reading = self._quick.read(texts, ["logits"])
        logits = reading.outputs[0]
        doubted = np.flatnonzero(distance(logits, self.settings.cuts) < margin)
        (logits[doubted],) = self._large.read_ids([reading.ids[row] for row in doubted], ["logits"])
        return Scores(sigmoid(logits), reading.truncated, reading.unknown)

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """The large encoder's vectors of cleaned texts; raises ArtefactError where its graph gives none."""
        return self._large.read(texts, ["embedding"]).outputs[0]

    def passages(self, text: str) -> list[str]:
        """A long text in parts that are each read whole."""
        return self._large.passages(text)

    def save(self, folder: Path) -> None:
        """Write the graphs, their tokenizer and the settings."""
        for file in FILES:
            shutil.copyfile(self.folder / file, folder / file)
        write_settings(folder, self.settings)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Build the scorer from its folder."""
        return cls(folder, read_settings(folder))


OPENS = CascadeScorer


def distance(logits: NDArray[np.float32], cuts: Sequence[float]) -> FloatArray:
    """How far the nearest logit of each row, (tickets, columns), is from its cut, (tickets,).

    >>> distance(np.array([[2.0, -3.0], [0.5, 9.0]], dtype=np.float32), [0.0, 1.0]).tolist()
    [2.0, 0.5]
    """
    found: FloatArray = np.abs(logits.astype(np.float64) - np.asarray(cuts)).min(axis=1)
    return found


def write_settings(folder: Path, settings: Settings) -> None:
    """Write `scorer.json`."""
    (folder / "scorer.json").write_text(json.dumps(asdict(settings)) + "\n", encoding="utf-8")


def read_settings(folder: Path) -> Settings:
    """The settings of `scorer.json`; raises ArtefactError."""
    fields = onnx.read_settings(folder)
    cuts, margins, tier = fields.get("cuts"), fields.get("margins"), fields.get("tier")
    if (
        isinstance(cuts, list)
        and all(map(_is_number, cuts))
        and isinstance(margins, dict)
        and margins.keys() == set(TIERS) - {"exact"}
        and all(_is_number(margin) and margin >= 0 for margin in margins.values())
        and isinstance(tier, str)
        and tier in TIERS
    ):
        distances = {name: float(margin) for name, margin in margins.items()}
        return Settings(onnx.read_max_tokens(folder), tuple(map(float, cuts)), distances, tier)
    raise ArtefactError(
        f"{folder / 'scorer.json'}: expected cuts, margins for fast and balanced, and a tier among "
        f"{', '.join(TIERS)}. Build the model again.",
        code="bad_json",
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
