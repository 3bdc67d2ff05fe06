"""A frozen sentence encoder with kernel ridge regression on top: trains in seconds, needs no torch.

A text is seen three times: as the encoder's sentence embedding and as the mean of a middle layer, each through a
Gaussian kernel, and as its word pieces, alone and in pairs, weighted by TF-IDF. The embedding carries over to words
never seen in training; the middle layer and the word pieces keep apart what it blurs ("charged" and "refunded"). One
linear system gives the weights of all labels at once.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tagdesk.arrays import IntArray, Probs, Targets
from tagdesk.encoders import EncoderFolder, resolve
from tagdesk.encoders.onnx import TextGraph
from tagdesk.errors import ArtefactError, InputError, MissingExtra
from tagdesk.scorers.base import Examples, Progress, Scorer, Scores, silent
from tagdesk.scorers.lexicon import Lexicon
from tagdesk.scorers.linear import read_arrays
from tagdesk.scorers.onnx import FILES, read_max_tokens, sigmoid, write_settings
from tagdesk.scorers.recipe import Recipe

HEAD = "head.npz"
VIEWS = ("embedding", "middle")  # outputs of an encoder graph; a graph may lack the second
STEEPNESS = 6.0  # scales scores of about -1..1 to logits, near the slope that calibration finds
EMBED_AT_ONCE = 256  # texts between two reports of progress


@dataclass(frozen=True, slots=True)
class Seen:
    """Texts as the encoder sees them: views (views, tickets, width) and the token ids of each text."""

    views: NDArray[np.float32]
    ids: Sequence[Sequence[int]]

    def take(self, rows: IntArray) -> Seen:
        """The texts at the given rows, in that order."""
        return Seen(self.views[:, rows], [self.ids[row] for row in rows])


@dataclass(frozen=True, slots=True)
class ProbeHead:
    """What turns embeddings and word pieces into logits.

    Attributes:
        landmarks: (views, landmarks, width), embeddings of training texts, one block for each view of the encoder.
        kernel_weights: (landmarks, labels), for the sum of the Gaussian kernels between a text and each landmark.
        gamma: the kernel is exp(-gamma * squared distance).
        terms: (terms, 2), word pieces as token ids; the second is -1 where a piece stands alone.
        idf: (terms,).
        term_weights: (terms, labels).
        bias: (labels,).
    """

    landmarks: NDArray[np.float32]
    kernel_weights: NDArray[np.float32]
    gamma: NDArray[np.float32]
    terms: NDArray[np.int32]
    idf: NDArray[np.float32]
    term_weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __post_init__(self) -> None:
        labels, marks, terms = len(self.bias), len(self.kernel_weights), len(self.terms)
        expected = {
            "landmarks": (self.landmarks.shape[0], marks, self.landmarks.shape[-1]),
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

    def logits(self, seen: Seen) -> NDArray[np.float32]:
        """Logits (tickets, labels)."""
        kernel = _gaussians(seen.views, self.landmarks, float(self.gamma))
        lexicon = Lexicon(self.terms, self.idf)
        words = np.zeros((len(seen.ids), len(self.bias)), dtype=np.float32)
        for row, (columns, values) in enumerate(lexicon.weigh(seen.ids)):
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
        reading = self.graph.read(texts, views_of(self.graph))
        logits = self.head.logits(Seen(np.stack(reading.outputs), reading.ids))
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
        views = views_of(graph)
        given = (len(views), *{graph.widths[view] for view in views})
        if given != (len(head.landmarks), head.landmarks.shape[-1]):
            raise ArtefactError(
                f"{folder}: the encoder gives {given[0]} views of {given[1:]} numbers, the head reads "
                f"{len(head.landmarks)} of {head.landmarks.shape[-1]}. Train the model again.",
                code="bad_arrays",
            )
        return cls(graph, head)


OPENS = ProbeScorer


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
        probs[held_out] = sigmoid(head.logits(seen.take(held_out)))
    progress("folds", len(folds), len(folds))
    return probs


def views_of(graph: TextGraph) -> tuple[str, ...]:
    """The outputs of an encoder graph that a probe reads."""
    return tuple(view for view in VIEWS if view in graph.widths)


def _fit_head(seen: Seen, targets: Targets, recipe: Recipe) -> ProbeHead:
    """Kernel ridge regression on targets of -1 and 1; the bias is one more kernel, constant 1.

    With more tickets than landmarks the weights stand on a random sample of them (subset of regressors: Rasmussen &
    Williams, Gaussian Processes for Machine Learning, 8.3.1), but are fitted to all.
    """
    from scipy.linalg import solve  # noqa: PLC0415 - slow to import, and not needed to serve

    if not len(targets):
        raise InputError("There are no labelled tickets to learn from.", code="too_few")
    lexicon = Lexicon.fit(seen.ids, most=recipe.max_terms)
    rows = _landmarks(len(targets), recipe)
    terms, marks = lexicon.matrix(seen.ids), seen.take(rows)
    share = 1 / (len(seen.views) + (recipe.words > 0))
    weight = recipe.words * share
    kernel = _gaussians(seen.views, marks.views, recipe.gamma).astype(np.float64) * share
    kernel += (terms @ terms[rows].T).toarray() * weight + 1
    wanted = np.where(targets, STEEPNESS, -STEEPNESS).astype(np.float64)
    if len(rows) == len(targets):
        weights = solve(kernel + recipe.ridge * np.eye(len(rows)), wanted, assume_a="pos", overwrite_a=True)
    else:
        normal = kernel.T @ kernel + recipe.ridge * (kernel[rows] + 1e-6 * np.eye(len(rows)))
        weights = solve(normal, kernel.T @ wanted, assume_a="pos", overwrite_a=True)
    return ProbeHead(
        landmarks=marks.views,
        kernel_weights=(weights * share).astype(np.float32),
        gamma=np.array(recipe.gamma, dtype=np.float32),
        terms=lexicon.terms,
        idf=lexicon.idf,
        term_weights=np.asarray(terms[rows].T @ weights * weight, dtype=np.float32),
        bias=weights.sum(axis=0).astype(np.float32),
    )


def _landmarks(tickets: int, recipe: Recipe) -> IntArray:
    """All rows, or a random sample of them where there are more than the recipe allows."""
    if tickets <= recipe.landmarks:
        return np.arange(tickets)
    return np.sort(np.random.default_rng(recipe.seed).choice(tickets, size=recipe.landmarks, replace=False))


def _gaussians(left: NDArray[np.float32], right: NDArray[np.float32], gamma: float) -> NDArray[np.float32]:
    """The sum over views of exp(-gamma * squared distance) between rows of length 1, (left, right)."""
    return np.sum([np.exp((2 * gamma) * (a @ b.T - 1)) for a, b in zip(left, right, strict=True)], axis=0)  # type: ignore[no-any-return]


def _see(graph: TextGraph, texts: Sequence[str], progress: Progress) -> Seen:
    names = views_of(graph)
    views = np.zeros((len(names), len(texts), graph.widths[names[0]]), dtype=np.float32)
    ids: list[Sequence[int]] = []
    for start in range(0, len(texts), EMBED_AT_ONCE):
        progress("embedding", start, len(texts))
        reading = graph.read(texts[start : start + EMBED_AT_ONCE], names)
        views[:, start : start + EMBED_AT_ONCE] = reading.outputs
        ids += reading.ids
    progress("embedding", len(texts), len(texts))
    return Seen(views, ids)


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
