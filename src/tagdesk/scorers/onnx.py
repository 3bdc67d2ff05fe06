"""Scores texts with an exported graph: the way models are served."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from tagdesk.arrays import Embeddings
from tagdesk.encoders.onnx import TextGraph
from tagdesk.errors import ArtefactError
from tagdesk.scorers.base import Scores, sigmoid

FILES = ("model.onnx", "tokenizer.json")
_LONGEST_SETTINGS = 100_000  # characters; a longer scorer.json is a broken one


class OnnxScorer:
    """A graph whose output `logits` holds one number per label; `embedding`, where it has one, serves probes."""

    kind: ClassVar[str] = "onnx"

    def __init__(self, folder: Path, max_tokens: int, *, threads: int | None = None) -> None:
        self.folder = folder
        self.max_tokens = max_tokens
        self._graph = TextGraph(folder, max_tokens, threads=threads)

    def score(self, texts: Sequence[str]) -> Scores:
        """Probabilities for cleaned texts, in their order."""
        reading = self._graph.read(texts, ["logits"])
        return Scores(sigmoid(reading.outputs[0]), reading.truncated, reading.unknown)

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """The encoder's vectors of cleaned texts; raises ArtefactError where the graph gives none."""
        return self._graph.read(texts, ["embedding"]).outputs[0]

    def passages(self, text: str) -> list[str]:
        """A long text in parts that are each read whole."""
        return self._graph.passages(text)

    def save(self, folder: Path) -> None:
        """Write the graph, its tokenizer and its settings."""
        for file in FILES:
            shutil.copyfile(self.folder / file, folder / file)
        write_settings(folder, max_tokens=self.max_tokens)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Build the scorer from its folder."""
        return cls(folder, read_max_tokens(folder))


OPENS = OnnxScorer


def write_settings(folder: Path, *, max_tokens: int) -> None:
    """Write `scorer.json`."""
    (folder / "scorer.json").write_text(json.dumps({"max_tokens": max_tokens}) + "\n", encoding="utf-8")


def read_settings(folder: Path) -> dict[str, Any]:
    """What `scorer.json` says; raises ArtefactError where it is no object with a `max_tokens`."""
    path = folder / "scorer.json"
    try:
        with path.open(encoding="utf-8") as file:
            settings = json.loads(file.read(_LONGEST_SETTINGS))
        settings["max_tokens"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtefactError(f"{path} names no max_tokens. Train or export the model again.", code="bad_json") from error
    return dict(settings)


def read_max_tokens(folder: Path) -> int:
    """The cut in tokens of `scorer.json`; raises ArtefactError."""
    path = folder / "scorer.json"
    value = read_settings(folder)["max_tokens"]
    if not isinstance(value, int) or isinstance(value, bool) or not 8 <= value <= 8192:
        raise ArtefactError(
            f"{path}: max_tokens is {str(value)[:40]}; expected a whole number from 8 to 8192. Train the model again.",
            code="bad_json",
        )
    return value
