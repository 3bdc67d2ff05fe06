"""Turns a trained model into a graph that serves without torch, and refuses where the graph decides differently."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np

from tagdesk.errors import MissingExtra, Refused, UsageError
from tagdesk.export.probe import probe_to_onnx
from tagdesk.model import Manifest, Model
from tagdesk.prediction import Decision
from tagdesk.scorers import Scorer
from tagdesk.scorers.onnx import OnnxScorer, read_max_tokens, write_settings
from tagdesk.scorers.probe import ProbeScorer
from tagdesk.train import support_taxonomy

if TYPE_CHECKING:
    from tagdesk.scorers.transformer import TransformerScorer

Precision: TypeAlias = Literal["fp32", "int8"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an export may be from the original: label sets that must agree, and the largest change of a score."""

    equal_sets: float
    largest_change: float


TOLERANCES: dict[Precision, Tolerance] = {"fp32": Tolerance(1.0, 1e-3), "int8": Tolerance(0.99, 0.1)}


@dataclass(frozen=True, slots=True)
class Difference:
    """How an export differs from the original on some texts.

    Attributes:
        texts: how many were compared.
        equal_sets: share of texts that get exactly the same labels.
        largest_change: of any calibrated probability.
        mean_change: of all calibrated probabilities.
        megabytes: size of the exported graph.
    """

    texts: int
    equal_sets: float
    largest_change: float
    mean_change: float
    megabytes: float

    def to_dict(self) -> dict[str, Any]:
        """The difference as JSON holds it."""
        return asdict(self)


@contextmanager
def exported(model: Model, precision: Precision, texts: Sequence[str] = ()) -> Iterator[tuple[Model, Difference]]:
    """The model as a graph, and how it differs; usable, and to be saved, inside the `with` block.

    Args:
        model: a probe, a transformer, or a graph in fp32.
        precision: `fp32`, or `int8` for a quarter to a third of the size.
        texts: to compare on; none: the examples of the taxonomy, alone and in pairs.

    Raises:
        Refused: where the graph is farther from the original than `TOLERANCES` allows; the message says by how much.
        MissingExtra: where the [train] extra is not installed.
    """
    if precision not in TOLERANCES:
        raise UsageError(
            f"Precision {precision!r} is unknown. Use one of: {', '.join(TOLERANCES)}.", code="bad_setting"
        )
    with tempfile.TemporaryDirectory(prefix="tagdesk-export-") as name:
        folder = Path(name)
        _draw(model.scorer, folder, precision)
        scorer = OnnxScorer.open(folder)
        found = compare(model, scorer, list(texts) or example_texts(model), folder / "model.onnx")
        _refuse_if_different(found, TOLERANCES[precision], precision)
        origin = dict(model.manifest.origin) if model.manifest else {}
        origin["export"] = {"from": model.id, "precision": precision, "difference": found.to_dict()}
        manifest = Manifest("unsaved", scorer.kind, model.taxonomy.fingerprint, {}, origin=origin)
        yield replace(model, scorer=scorer, manifest=manifest), found


def compare(model: Model, scorer: Scorer, texts: Sequence[str], graph: Path) -> Difference:
    """How another scorer in the model's place changes its scores and decisions on cleaned or raw texts."""
    judged = [one.judge(texts) for one in (model, replace(model, scorer=scorer))]
    given = [model.policy.decide(one.probs, one.none) >= Decision.SUGGEST for one in judged]
    change = np.abs(judged[1].probs - judged[0].probs)
    return Difference(
        texts=len(texts),
        equal_sets=float((given[0] == given[1]).all(axis=1).mean()),
        largest_change=float(change.max()),
        mean_change=float(change.mean()),
        megabytes=round(graph.stat().st_size / 1e6, 1),
    )


def example_texts(model: Model) -> list[str]:
    """The examples of the model's taxonomy, or of the support taxonomy, alone and each with two others."""
    labels = model.taxonomy.labels if any(label.examples for label in model.taxonomy.labels) else ()
    alone = [text for label in labels or support_taxonomy().labels for text in label.examples]
    return alone + [
        f"{text} {alone[(place + step) % len(alone)]}" for step in (1, 7) for place, text in enumerate(alone)
    ]


def _draw(scorer: Scorer, folder: Path, precision: Precision) -> None:
    """Write model.onnx, tokenizer.json and scorer.json for a scorer of any kind that can be a graph."""
    if scorer.kind == "linear":
        raise UsageError(
            "A linear model needs no export: it has no encoder, and serves without torch as it is.", code="no_graph"
        )
    original, graph = folder / "original", folder / "model.onnx"
    original.mkdir()
    scorer.save(original)
    try:
        from tagdesk.encoders.graph import quantise  # noqa: PLC0415 - needs the [train] extra

        if isinstance(scorer, ProbeScorer):
            probe_to_onnx(scorer, graph)
        elif isinstance(scorer, OnnxScorer):
            shutil.copyfile(original / "model.onnx", graph)
        else:
            from tagdesk.encoders.convert import scorer_to_onnx  # noqa: PLC0415 - the same

            scorer_to_onnx(cast("TransformerScorer", scorer), graph)
        if precision == "int8":
            quantise(graph, graph)
    except ImportError as error:
        raise MissingExtra("Export", "train") from error
    shutil.copyfile(original / "tokenizer.json", folder / "tokenizer.json")
    write_settings(folder, max_tokens=read_max_tokens(original))
    shutil.rmtree(original)


def _refuse_if_different(found: Difference, allowed: Tolerance, precision: Precision) -> None:
    if found.equal_sets < allowed.equal_sets or found.largest_change > allowed.largest_change:
        raise Refused(
            f"The {precision} graph decides differently: {found.equal_sets:.2%} of {found.texts} texts get the same "
            f"labels (expected {allowed.equal_sets:.0%}), and a score changes by {found.largest_change:.3f} (at most "
            f"{allowed.largest_change:g}). Export as fp32, or train longer: its scores lie close to the thresholds.",
            code="export_differs",
        )
