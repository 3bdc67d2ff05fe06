"""Gives a model a small graph beside its large one, which takes most of the work off it."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tagdesk.arrays import BoolArray, FloatArray, Probs
from tagdesk.calibrate import logit, split_none
from tagdesk.encoders.onnx import TextGraph
from tagdesk.encoders.tokens import TextTokenizer
from tagdesk.errors import InputError, MissingExtra, UsageError
from tagdesk.model import Manifest, Model
from tagdesk.prediction import Decision
from tagdesk.scorers.base import Progress, sigmoid, silent
from tagdesk.scorers.cascade import LARGE, QUICK, CascadeScorer, Settings, distance, write_settings
from tagdesk.scorers.onnx import OnnxScorer
from tagdesk.text import check_text

AGREEMENT: Final = {"fast": 0.98, "balanced": 0.995}  # share of texts that get the labels that the large graph gives
FEWEST = 1000  # different texts
HELD_OUT = 0.1  # share of the texts that finds the margins and measures them, a half each
LEAST_HELD_OUT = 400  # texts; with fewer nothing can be said of a half percent
MOST_PIECES = 3  # sentences that a spliced text takes of another
ALONE = 0.3  # share of spliced texts that are a piece of one text
GRID = 401  # margins that are tried
NUDGE = 1e-6  # what lies at a margin is doubted
STEEPEST = 4.0  # slope between the logits of the graphs; beyond it the small one has learned nothing of a column
WIDEST = 8.0  # logits beyond it are all alike certain
AT_ONCE = 1024  # texts between two reports of progress
_SENTENCES = re.compile(r"(?<=[.!?\n])\s+")


@dataclass(frozen=True, slots=True)
class Tier:
    """What a tier is worth on texts that neither taught the small graph nor found the margin.

    Attributes:
        margin: in logits.
        equal_sets: share of texts that get exactly the labels that the large graph gives.
        read_by_large: share of texts that the large graph reads.
    """

    margin: float
    equal_sets: float
    read_by_large: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a distillation has come to; `texts` were measured."""

    tiers: Mapping[str, Tier]
    texts: int
    megabytes: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Choices:
    """How to distil.

    Attributes:
        spliced: how many texts are made of pieces of the others; more of them make the small graph more alike.
        tier: which the model is opened with.
        seed: of all chance.
        shape: settings of `tagdesk.scorers.transformer.student.Shape` other than its own.
    """

    spliced: int = 20_000
    tier: str = "balanced"
    seed: int = 0
    shape: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What both graphs make of some texts.

    Attributes:
        quick: the labels by the small graph, (tickets, labels).
        large: those by the large one.
        distances: of the small graph's logits from the cuts, (tickets,).
    """

    quick: BoolArray
    large: BoolArray
    distances: FloatArray

    def tier(self, margin: float) -> Tier:
        """What a margin is worth on these texts."""
        doubted = self.distances < margin
        differs = (self.quick != self.large).any(axis=1)
        return Tier(margin, float(1 - (differs & ~doubted).mean()), float(doubted.mean()))

    def least_margin(self, share: float) -> float:
        """The smallest margin with which at least that share of these texts get equal labels."""
        tried = [0.0, *(np.quantile(self.distances, np.linspace(0, 1, GRID)) + NUDGE)]
        return float(next(margin for margin in tried if self.tier(margin).equal_sets >= share or margin == tried[-1]))


@contextmanager
def distilled(
    model: Model, texts: Sequence[str], choices: Choices | None = None, *, progress: Progress = silent
) -> Iterator[tuple[Model, Found]]:
    """The model with a small graph beside its own, usable, and to be saved, inside the `with` block.

    The small graph learns from the probabilities that the model gives to the texts, so that these need no labels. Its
    margins are the smallest at which texts that did not teach it get the labels of the large graph as often as
    `AGREEMENT` says.

    Args:
        model: a graph, as `tagdesk export` writes it.
        texts: like those that it will read; some thousands.
        choices: how.
        progress: told what is done.

    Raises:
        UsageError: where the model is no graph.
        InputError: where there are too few different texts.
        MissingExtra: where the [train] extra is not installed.
    """
    chosen = choices or Choices()
    scorer = model.scorer
    if not isinstance(scorer, OnnxScorer):
        raise UsageError(
            f"A model of kind {scorer.kind} cannot be distilled. Export it first: tagdesk export.", code="no_graph"
        )
    cleaned = list(dict.fromkeys(check_text(text).text for text in texts))
    if len(cleaned) < FEWEST:
        raise InputError(
            f"{len(cleaned)} different texts are too few to learn from; expected {FEWEST} or more.", code="too_few"
        )
    order = np.random.default_rng(chosen.seed).permutation(len(cleaned))
    held = max(round(HELD_OUT * len(cleaned)), LEAST_HELD_OUT)
    held_out, seen = ([cleaned[row] for row in rows] for rows in (order[:held], order[held:]))
    taught = seen + spliced(seen, chosen.spliced, chosen.seed)
    cuts = cuts_of(model)
    with tempfile.TemporaryDirectory(prefix="tagdesk-distil-") as name:
        folder = Path(name)
        for file in (LARGE, "tokenizer.json"):
            shutil.copyfile(scorer.folder / file, folder / file)
        quick, large = _taught(folder, scorer, taught, held_out, chosen, progress)
        sets = [_sets(model, logits) for logits in (quick, large)]
        finds, measures = np.arange(held) < held // 2, np.arange(held) >= held // 2
        judged = [_Judged(sets[0][rows], sets[1][rows], distance(quick[rows], cuts)) for rows in (finds, measures)]
        margins = {tier: judged[0].least_margin(share) for tier, share in AGREEMENT.items()}
        write_settings(folder, Settings(scorer.max_tokens, cuts, margins, chosen.tier))
        found = Found(
            {tier: judged[1].tier(margin) for tier, margin in margins.items()},
            int(measures.sum()),
            round(sum((folder / file).stat().st_size for file in (QUICK, LARGE)) / 1e6, 1),
        )
        origin = dict(model.manifest.origin) if model.manifest else {}
        origin["distilled"] = {"from": model.id, "choices": asdict(chosen), "found": found.to_dict()}
        made = CascadeScorer.open(folder)
        manifest = Manifest("unsaved", made.kind, model.taxonomy.fingerprint, {}, origin=origin)
        yield replace(model, scorer=made, manifest=manifest, cache=None), found


def spliced(texts: Sequence[str], count: int, seed: int) -> list[str]:
    """Texts made of one to three sentences of a text, and mostly of as many of another.

    >>> spliced(["One. Two.", "Three."], 2, seed=1) == spliced(["One. Two.", "Three."], 2, seed=1)
    True
    """
    chance = np.random.default_rng([seed, 1])

    def piece() -> str:
        sentences = _SENTENCES.split(texts[int(chance.integers(len(texts)))])
        taken = int(chance.integers(1, min(len(sentences), MOST_PIECES) + 1))
        start = int(chance.integers(0, len(sentences) - taken + 1))
        return " ".join(sentences[start : start + taken])

    return [piece() if chance.random() < ALONE else f"{piece()} {piece()}" for _ in range(count)]


def cuts_of(model: Model) -> tuple[float, ...]:
    """The raw logit of each column at which the model's policy decides, as far as columns decide alone.

    A label that is never given, or a policy without a cut for "none of these", turns at probability 1.
    """
    policy, calibration = model.policy, model.calibration
    thresholds = [*policy.suggest.tolist(), *([policy.out_of_scope] if model.knows_scope else [])]
    probs = np.minimum(np.array(thresholds), 1.0)
    cuts: FloatArray = (logit(probs) - calibration.intercepts) / calibration.slopes
    return tuple(cuts.tolist())


def _taught(
    folder: Path,
    scorer: OnnxScorer,
    taught: Sequence[str],
    held_out: Sequence[str],
    choices: Choices,
    progress: Progress,
) -> tuple[NDArray[np.float32], FloatArray]:
    """Write `quick.onnx`, and give the logits of the held-out texts by it and by the large graph, on one scale."""
    try:
        from tagdesk.encoders.convert import student_to_onnx  # noqa: PLC0415 - needs the [train] extra
        from tagdesk.encoders.graph import quantise, words_of  # noqa: PLC0415 - the same
        from tagdesk.scorers.transformer.student import Shape, fit_student  # noqa: PLC0415 - the same
    except ImportError as error:
        raise MissingExtra("Distilling", "train") from error
    tokenizer = TextTokenizer.open(folder / "tokenizer.json", scorer.max_tokens)
    probs = _scored(scorer, taught, progress)
    large = logit(scorer.score(held_out).probs)
    student = fit_student(
        words_of(folder / LARGE),
        tokenizer.split(taught).ids,
        probs,
        Shape(**choices.shape),
        tokenizer=tokenizer,
        seed=choices.seed,
        progress=progress,
    )
    student.rescale(*aligned(student.read(tokenizer.split(held_out).ids, tokenizer.pad_id), large))
    student_to_onnx(student, folder / QUICK)
    quantise(folder / QUICK, folder / QUICK)
    (quick,) = TextGraph(folder, scorer.max_tokens, file=QUICK).read(held_out, ["logits"]).outputs
    return quick, large


def aligned(quick: NDArray[Any], large: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Slopes and intercepts (columns,) that bring logits (tickets, columns) closest to those of the large graph.

    >>> slopes, intercepts = aligned(np.array([[-1.0], [0.0], [1.0]]), np.array([[-1.0], [1.0], [3.0]]))
    >>> slopes.round(6).tolist(), intercepts.round(6).tolist()
    ([2.0], [1.0])
    """
    given, wanted = np.clip(quick, -WIDEST, WIDEST), np.clip(large, -WIDEST, WIDEST)
    spread = given - given.mean(axis=0)
    slopes = (spread * wanted).sum(axis=0) / np.maximum((spread**2).sum(axis=0), 1e-9)
    slopes = np.clip(slopes, 1 / STEEPEST, STEEPEST)  # a column that nothing was learned of keeps its direction
    return slopes, wanted.mean(axis=0) - slopes * given.mean(axis=0)


def _scored(scorer: OnnxScorer, texts: Sequence[str], progress: Progress) -> Probs:
    parts = []
    for start in range(0, len(texts), AT_ONCE):
        progress("texts", start, len(texts))
        parts.append(scorer.score(texts[start : start + AT_ONCE]).probs)
    progress("texts", len(texts), len(texts))
    return np.concatenate(parts)


def _sets(model: Model, logits: NDArray[Any]) -> BoolArray:
    """The labels that the model gives for these logits, (tickets, labels)."""
    probs, none = split_none(model.calibration.apply(sigmoid(logits.astype(np.float32))), len(model.taxonomy))
    given: BoolArray = model.policy.decide(probs, none) >= Decision.SUGGEST
    return given
