"""A frozen sentence encoder with kernel ridge regression on top: trains in seconds, needs no torch.

A text is seen three times: as the encoder's sentence embedding and as the mean of a middle layer, each through a
Gaussian kernel, and as its word pieces, alone and in pairs, weighted by TF-IDF. The embedding carries over to words
never seen in training; the middle layer and the word pieces keep apart what it blurs ("charged" and "refunded"). One
linear system gives the weights of all labels at once.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from tagdesk.arrays import Embeddings, FloatArray, IntArray, Probs, Targets
from tagdesk.encoders import EncoderFolder, resolve
from tagdesk.encoders.onnx import TextGraph
from tagdesk.errors import ArtefactError, InputError, MissingExtra, UsageError
from tagdesk.scorers.base import Examples, Progress, Scorer, Scores, sigmoid, silent
from tagdesk.scorers.lexicon import Lexicon
from tagdesk.scorers.linear import read_arrays
from tagdesk.scorers.onnx import FILES, read_max_tokens, write_settings
from tagdesk.scorers.recipe import Recipe

Real = TypeVar("Real", np.float32, np.float64)

HEAD = "head.npz"
VIEWS = ("embedding", "middle")  # outputs of an encoder graph; a graph may lack the second
STEEPNESS = 6.0  # scales scores of about -1..1 to logits, near the slope that calibration finds
EMBED_AT_ONCE = 256  # texts between two reports of progress
KERNEL_AT_ONCE = 1024  # texts beside all landmarks; keeps memory flat
JITTER = 1e-10  # of the mean diagonal: repeated tickets among the landmarks make a system that has no single solution


@dataclass(frozen=True, slots=True)
class Seen:
    """Texts as the encoder sees them: views (views, tickets, width) and the token ids of each text."""

    views: NDArray[np.float32]
    ids: Sequence[Sequence[int]]

    def take(self, rows: IntArray) -> Seen:
        """The texts at the given rows, in that order."""
        return Seen(self.views[:, rows], [self.ids[row] for row in rows])


@dataclass(frozen=True, eq=False)
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
        views, width = (self.landmarks.shape[0], self.landmarks.shape[2]) if self.landmarks.ndim == 3 else (0, 0)
        expected = {
            "landmarks": ("f", (views, marks, width)),
            "kernel_weights": ("f", (marks, labels)),
            "gamma": ("f", ()),
            "terms": ("i", (terms, 2)),
            "idf": ("f", (terms,)),
            "term_weights": ("f", (terms, labels)),
            "bias": ("f", (labels,)),
        }
        for name, (kind, shape) in expected.items():
            value = getattr(self, name)
            if value.dtype.kind != kind or value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"{name} is {value.dtype} {value.shape}; expected {shape}, all finite")

    def logits(self, seen: Seen) -> NDArray[np.float32]:
        """Logits (tickets, labels)."""
        logits = np.zeros((len(seen.ids), len(self.bias)), dtype=np.float32)
        for start in range(0, len(logits), KERNEL_AT_ONCE):
            part = slice(start, start + KERNEL_AT_ONCE)
            kernel = _gaussians(seen.views[:, part], self.landmarks, float(self.gamma))
            logits[part] = kernel @ self.kernel_weights + self.bias
        for row, (columns, values) in enumerate(self._lexicon.weigh(seen.ids)):
            logits[row] += values @ self.term_weights[columns]
        return logits

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon(self.terms, self.idf)


class ProbeScorer:
    """A frozen encoder graph and the head on top of it."""

    kind: ClassVar[str] = "probe"

    def __init__(self, graph: TextGraph, head: ProbeHead) -> None:
        self.graph = graph
        self.head = head

    def score(self, texts: Sequence[str]) -> Scores:
        """Probabilities for cleaned texts, in their order."""
        reading = self.graph.read(texts, VIEWS[: len(self.head.landmarks)])
        logits = self.head.logits(Seen(np.stack(reading.outputs), reading.ids))
        return Scores(sigmoid(logits), reading.truncated, reading.unknown)

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """The encoder's vectors of cleaned texts."""
        return self.graph.read(texts, VIEWS[:1]).outputs[0]

    def passages(self, text: str) -> list[str]:
        """A long text in parts that are each read whole."""
        return self.graph.passages(text)

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
        needed = VIEWS[: len(head.landmarks)]
        if not needed or {graph.widths.get(view) for view in needed} != {head.landmarks.shape[-1]}:
            raise ArtefactError(
                f"{folder}: the encoder gives {graph.widths}, the head reads {', '.join(needed) or 'nothing'} of "
                f"{head.landmarks.shape[-1]} numbers. Train the model again.",
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
    graph = open_graph(recipe)
    return ProbeScorer(graph, _fit_head(see(graph, examples.texts, recipe, progress), examples.targets, recipe))


def score_out_of_fold(
    examples: Examples, recipe: Recipe, folds: Sequence[IntArray], *, progress: Progress = silent
) -> Probs:
    """Scores of every example by a head that never saw its fold; the frozen encoder reads each text once."""
    seen = see(open_graph(recipe), examples.texts, recipe, progress)
    probs = np.zeros(examples.targets.shape, dtype=np.float32)
    everything = np.arange(len(examples))
    for done, held_out in enumerate(folds):
        progress("folds", done, len(folds))
        rows = np.setdiff1d(everything, held_out)
        head = _fit_head(seen.take(rows), examples.targets[rows], recipe)
        probs[held_out] = sigmoid(head.logits(seen.take(held_out)))
    progress("folds", len(folds), len(folds))
    return probs


def _fit_head(seen: Seen, targets: Targets, recipe: Recipe) -> ProbeHead:
    """Kernel ridge regression on targets of -1 and 1; the bias is one more kernel, constant 1.

    With more tickets than landmarks the weights stand on a random sample of them, but are fitted to all.
    """
    if not len(targets):
        raise InputError("There are no labelled tickets to learn from.", code="too_few")
    lexicon = Lexicon.fit(seen.ids, most=recipe.max_terms)
    rows = _landmarks(len(targets), recipe)
    terms, marks = lexicon.matrix(seen.ids), seen.take(rows)
    landmarks = marks.views.astype(np.float64)
    share = 1 / (len(seen.views) + (recipe.words > 0))
    weight = recipe.words * share

    def kernel(some: IntArray) -> FloatArray:
        """Between the texts at the given rows and the landmarks; exact enough to stay positive definite."""
        views = _gaussians(seen.views[:, some].astype(np.float64), landmarks, recipe.gamma) * share
        return views + (terms[some] @ terms[rows].T).toarray() * weight + 1  # type: ignore[no-any-return] # scipy's

    wanted = np.where(targets, STEEPNESS, -STEEPNESS).astype(np.float64)
    weights = _ridge(kernel, rows, wanted, recipe.ridge)
    return ProbeHead(
        landmarks=marks.views,
        kernel_weights=(weights * share).astype(np.float32),
        gamma=np.array(recipe.gamma, dtype=np.float32),
        terms=lexicon.terms,
        idf=lexicon.idf,
        term_weights=np.asarray(terms[rows].T @ weights * weight, dtype=np.float32),
        bias=weights.sum(axis=0).astype(np.float32),
    )


def _ridge(kernel: Callable[[IntArray], FloatArray], rows: IntArray, wanted: FloatArray, ridge: float) -> FloatArray:
    """Weights (landmarks, labels) of the texts at `rows`, so that the kernel gives what is wanted of all texts.

    Where the landmarks are but some of the texts this is the subset of regressors (Rasmussen & Williams, Gaussian
    Processes for Machine Learning, 8.3.1).
    """
    from scipy.linalg import solve  # noqa: PLC0415 - slow to import, and not needed to serve

    square = kernel(rows)
    if len(rows) == len(wanted):
        right = wanted
        square[np.diag_indices(len(rows))] += ridge
    else:
        right = np.zeros((len(rows), wanted.shape[1]))
        square *= ridge
        for start in range(0, len(wanted), KERNEL_AT_ONCE):
            some = np.arange(start, min(start + KERNEL_AT_ONCE, len(wanted)))
            part = kernel(some)
            square += part.T @ part
            right += part.T @ wanted[some]
        square[np.diag_indices(len(rows))] += JITTER * np.trace(square) / len(rows)
    return np.asarray(solve(square, right, assume_a="pos", overwrite_a=True))


def _landmarks(tickets: int, recipe: Recipe) -> IntArray:
    """All rows, or a random sample of them where there are more than the recipe allows."""
    if tickets <= recipe.landmarks:
        return np.arange(tickets)
    return np.sort(np.random.default_rng(recipe.seed).choice(tickets, size=recipe.landmarks, replace=False))


def _gaussians(left: NDArray[Real], right: NDArray[Real], gamma: float) -> NDArray[Real]:
    """The sum over views of exp(-gamma * squared distance) between rows of length 1, (left, right)."""
    total = np.zeros((left.shape[1], right.shape[1]), dtype=left.dtype)
    for a, b in zip(left, right, strict=True):
        total += np.exp((2 * gamma) * (a @ b.T - 1))
    return total


def see(graph: TextGraph, texts: Sequence[str], recipe: Recipe, progress: Progress = silent) -> Seen:
    """Read texts as the recipe wants them read."""
    names = _views(graph, recipe)
    views = np.zeros((len(names), len(texts), graph.widths[names[0]]), dtype=np.float32)
    ids: list[Sequence[int]] = []
    for start in range(0, len(texts), EMBED_AT_ONCE):
        progress("embedding", start, len(texts))
        reading = graph.read(texts[start : start + EMBED_AT_ONCE], names)
        views[:, start : start + EMBED_AT_ONCE] = reading.outputs
        ids += reading.ids
    progress("embedding", len(texts), len(texts))
    return Seen(views, ids)


def _views(graph: TextGraph, recipe: Recipe) -> tuple[str, ...]:
    """The outputs of an encoder graph that the recipe reads."""
    return VIEWS if recipe.middle and "middle" in graph.widths else VIEWS[:1]


def open_graph(recipe: Recipe) -> TextGraph:
    """The recipe's encoder as a graph that was tried out; raises UsageError or ArtefactError."""
    folder = resolve(recipe.encoder)
    graph = TextGraph(folder.path if folder.is_onnx else _converted(folder), recipe.max_tokens)
    if "embedding" not in graph.widths:
        raise ArtefactError(
            f"{folder.path} has no output 'embedding', so no probe can stand on it. Name another encoder.",
            code="bad_graph",
        )
    try:
        graph.try_out(recipe.max_tokens)
    except ArtefactError as error:
        raise UsageError(
            f"The encoder {recipe.encoder!r} cannot read max_tokens = {recipe.max_tokens} tokens. Set fewer.",
            code="bad_setting",
        ) from error
    sight = graph.read(["ok"], _views(graph, recipe)).outputs
    if len({view.shape for view in sight}) > 1 or not np.allclose(np.linalg.norm(sight, axis=-1), 1, atol=0.01):
        raise ArtefactError(
            f"{folder.path} gives {', '.join(_views(graph, recipe))} of unlike widths, or not of length 1. "
            "Export the encoder with vectors that are normalised.",
            code="bad_graph",
        )
    return graph


def _converted(folder: EncoderFolder) -> Path:
    try:
        from tagdesk.encoders.convert import cached_onnx  # noqa: PLC0415 - needs the [train] extra
    except ImportError as error:
        raise MissingExtra(f"A probe on the encoder {folder.name!r}", "train") from error
    return cached_onnx(folder)
