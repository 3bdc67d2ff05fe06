"""A frozen sentence encoder with one regularised head per label: trains in seconds, needs no torch.

A text is seen twice: as the sentence embedding, through a Gaussian kernel, and as its word pieces, alone and in pairs,
weighted by TF-IDF. The embedding carries over to words never seen in training; the word pieces keep apart what the
embedding blurs ("charged" and "refunded"). Both feed one logistic regression per label.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tagdesk.arrays import Embeddings, IntArray, Probs, Targets
from tagdesk.encoders import EncoderFolder, resolve
from tagdesk.encoders.onnx import TextGraph
from tagdesk.errors import ArtefactError, MissingExtra
from tagdesk.scorers.base import Examples, Progress, Scorer, Scores, silent
from tagdesk.scorers.head import fit_head
from tagdesk.scorers.lexicon import Lexicon
from tagdesk.scorers.linear import read_arrays
from tagdesk.scorers.onnx import FILES, read_max_tokens, sigmoid, write_settings
from tagdesk.scorers.recipe import Recipe

HEAD = "head.npz"
EMBED_AT_ONCE = 256  # texts between two reports of progress


@dataclass(frozen=True, slots=True)
class ProbeHead:
    """What turns an embedding and word pieces into logits.

    Attributes:
        landmarks: (landmarks, width), embeddings of training texts.
        kernel_weights: (landmarks, labels), for the Gaussian kernel between a text and each landmark.
        gamma: the kernel is exp(-gamma * squared distance).
        terms: (terms, 2), word pieces as token ids; the second is -1 where a piece stands alone.
        idf: (terms,).
        term_weights: (terms, labels).
        bias: (labels,).
    """

    landmarks: Embeddings
    kernel_weights: NDArray[np.float32]
    gamma: NDArray[np.float32]
    terms: NDArray[np.int32]
    idf: NDArray[np.float32]
    term_weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __post_init__(self) -> None:
        labels, marks, terms = len(self.bias), len(self.landmarks), len(self.terms)
        expected = {
            "landmarks": (marks, self.landmarks.shape[-1]),
            "kernel_weights": (marks, labels),
            "gamma": (),
            "terms": (terms, 2),
            "idf": (terms,),
            "term_weights": (terms, labels),
            "bias": (labels,),
        }
        for name, shape in expected.items():
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"{name} is {value.shape}; expected {shape}, all finite")

    def logits(self, embeddings: Embeddings, ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits (tickets, labels) from embeddings (tickets, width) and the token ids of each text."""
        kernel = gaussian(embeddings, self.landmarks, float(self.gamma))
        lexicon = Lexicon(self.terms, self.idf)
        words = np.zeros((len(ids), len(self.bias)), dtype=np.float32)
        for row, (columns, values) in enumerate(lexicon.weigh(ids)):
            words[row] = values @ self.term_weights[columns]
        return kernel @ self.kernel_weights + words + self.bias


class ProbeScorer:
    """A frozen encoder graph and the head on top of it."""

    kind: ClassVar[str] = "probe"

    def __init__(self, graph: TextGraph, head: ProbeHead) -> None:
        self.graph = graph
        self.head = head

    def score(self, texts: Sequence[str]) -> Scores:
        """Probabilities for cleaned texts, in their order."""
        reading = self.graph.read(texts, "embedding")
        logits = self.head.logits(reading.output, reading.ids)
        return Scores(sigmoid(logits), reading.truncated, reading.unknown)

    def save(self, folder: Path) -> None:
        """Write the encoder graph, its tokenizer, the head and the settings."""
        for file in FILES:
            shutil.copyfile(self.graph.folder / file, folder / file)
        arrays = {field.name: getattr(self.head, field.name) for field in fields(ProbeHead)}
        with (folder / HEAD).open("wb") as out:
            np.savez(out, allow_pickle=False, **arrays)
        write_settings(folder, max_tokens=self.graph.max_tokens)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Build the scorer from its folder; raises ArtefactError where the arrays do not fit each other."""
        arrays = read_arrays(folder / HEAD)
        try:
            head = ProbeHead(**arrays)
        except (TypeError, ValueError) as error:
            raise ArtefactError(f"{folder / HEAD}: {error}. Train the model again.", code="bad_arrays") from error
        graph = TextGraph(folder, read_max_tokens(folder))
        if graph.widths.get("embedding") != head.landmarks.shape[1]:
            raise ArtefactError(
                f"{folder}: the encoder gives {graph.widths.get('embedding')} numbers, the head reads "
                f"{head.landmarks.shape[1]}. Train the model again.",
                code="bad_arrays",
            )
        return cls(graph, head)


OPENS = ProbeScorer


@dataclass(frozen=True, slots=True)
class _Seen:
    """Texts as the encoder sees them."""

    embeddings: Embeddings
    ids: Sequence[Sequence[int]]

    def take(self, rows: IntArray) -> _Seen:
        return _Seen(self.embeddings[rows], [self.ids[row] for row in rows])


def fit(
    examples: Examples,
    recipe: Recipe,
    *,
    validation: Examples | None = None,  # noqa: ARG001 - the convex fit has nothing to stop early
    checkpoint: Path | None = None,  # noqa: ARG001 - over before a kill could matter
    progress: Progress = silent,
) -> Scorer:
    """Embed the examples and learn a head on what the encoder sees."""
    graph = _open_graph(recipe)
    return ProbeScorer(graph, _fit_head(_see(graph, examples.texts, progress), examples.targets, recipe))


def score_out_of_fold(
    examples: Examples, recipe: Recipe, folds: Sequence[IntArray], *, progress: Progress = silent
) -> Probs:
    """Scores of every example by a head that never saw its fold; the frozen encoder reads each text once."""
    seen = _see(_open_graph(recipe), examples.texts, progress)
    probs = np.zeros(examples.targets.shape, dtype=np.float32)
    everything = np.arange(len(examples))
    for done, held_out in enumerate(folds):
        progress("folds", done, len(folds))
        rows = np.setdiff1d(everything, held_out)
        head = _fit_head(seen.take(rows), examples.targets[rows], recipe)
        probs[held_out] = sigmoid(head.logits(seen.embeddings[held_out], [seen.ids[row] for row in held_out]))
    progress("folds", len(folds), len(folds))
    return probs


def gaussian(left: Embeddings, right: Embeddings, gamma: float) -> NDArray[np.float32]:
    """exp(-gamma * squared distance) between rows of length 1, (left, right).

    >>> rows = np.eye(2, dtype=np.float32)
    >>> gaussian(rows, rows, 0.5).round(3).tolist()
    [[1.0, 0.368], [0.368, 1.0]]
    """
    kernel: NDArray[np.float32] = np.exp((2 * gamma) * (left @ right.T - 1)).astype(np.float32)
    return kernel


def _fit_head(seen: _Seen, targets: Targets, recipe: Recipe) -> ProbeHead:
    """Nystroem features of the kernel and TF-IDF of the word pieces, into one logistic regression per label."""
    landmarks = _landmarks(seen.embeddings, recipe)
    kernel = gaussian(landmarks, landmarks, recipe.gamma).astype(np.float64)
    values, vectors = np.linalg.eigh(kernel)
    useful = values > values[-1] * 1e-7 if len(values) else values > 0
    whiten = vectors[:, useful] / np.sqrt(values[useful])
    lexicon = Lexicon.fit(seen.ids, pairs=recipe.word_pairs, most=recipe.max_terms)
    blocks: list[Any] = [gaussian(seen.embeddings, landmarks, recipe.gamma) @ whiten]
    if recipe.words:
        blocks.append(lexicon.matrix(seen.ids) * np.sqrt(recipe.words))
    weights, bias = fit_head(blocks, targets, strength=recipe.strength)
    labels = targets.shape[1]
    keep = recipe.words > 0
    return ProbeHead(
        landmarks=landmarks,
        kernel_weights=(whiten @ weights[0]).astype(np.float32),
        gamma=np.array(recipe.gamma, dtype=np.float32),
        terms=lexicon.terms if keep else np.zeros((0, 2), np.int32),
        idf=lexicon.idf if keep else np.zeros(0, np.float32),
        term_weights=weights[1] * np.float32(np.sqrt(recipe.words)) if keep else np.zeros((0, labels), np.float32),
        bias=bias,
    )


def _landmarks(embeddings: Embeddings, recipe: Recipe) -> Embeddings:
    """All embeddings, or a random sample of them where there are more than the recipe allows."""
    if len(embeddings) <= recipe.landmarks:
        return embeddings
    rows = np.random.default_rng(recipe.seed).choice(len(embeddings), size=recipe.landmarks, replace=False)
    return embeddings[np.sort(rows)]


def _see(graph: TextGraph, texts: Sequence[str], progress: Progress) -> _Seen:
    width = graph.widths["embedding"]
    embeddings = np.zeros((len(texts), width), dtype=np.float32)
    ids: list[Sequence[int]] = []
    for start in range(0, len(texts), EMBED_AT_ONCE):
        progress("embedding", start, len(texts))
        reading = graph.read(texts[start : start + EMBED_AT_ONCE], "embedding")
        embeddings[start : start + EMBED_AT_ONCE] = reading.output
        ids += reading.ids
    progress("embedding", len(texts), len(texts))
    return _Seen(embeddings, ids)


def _open_graph(recipe: Recipe) -> TextGraph:
    folder = resolve(recipe.encoder)
    graph = TextGraph(folder.path if folder.is_onnx else _converted(folder), recipe.max_tokens)
    if "embedding" not in graph.widths:
        raise ArtefactError(
            f"{folder.path} has no output 'embedding', so no probe can stand on it. Name another encoder.",
            code="bad_graph",
        )
    return graph


def _converted(folder: EncoderFolder) -> Path:
    try:
        from tagdesk.encoders.convert import cached_onnx  # noqa: PLC0415 - needs the [train] extra
    except ImportError as error:
        raise MissingExtra(f"A probe on the encoder {folder.name!r}", "train") from error
    return cached_onnx(folder)
