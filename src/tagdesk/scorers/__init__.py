"""The gate to the scorers: fit one by its recipe, open one from a folder; heavy imports happen behind it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from tagdesk.arrays import IntArray, Probs
from tagdesk.errors import ArtefactError, MissingExtra, UsageError
from tagdesk.scorers.base import TIERS, Examples, Progress, Scorer, Scores, silent
from tagdesk.scorers.recipe import Recipe, named_recipes

__all__ = [
    "TIERS",
    "Examples",
    "Recipe",
    "Scorer",
    "Scores",
    "at_tier",
    "fit_scorer",
    "named_recipes",
    "open_scorer",
    "score_out_of_fold",
]

# kind -> the extra it needs (None: the base install). A kind is the module of that name, with a class `OPENS`.
_KINDS: dict[str, str | None] = {"linear": None, "probe": None, "onnx": None, "cascade": None, "transformer": "train"}


def fit_scorer(
    examples: Examples,
    recipe: Recipe,
    *,
    validation: Examples | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Scorer:
    """Learn a scorer from cleaned texts and their targets.

    Args:
        examples: what to learn from.
        recipe: how.
        validation: examples for early stopping; kinds that do not stop early leave them unread.
        checkpoint: a folder in which an interrupted fit left its state, and may leave it again.
        progress: told what is done.
    """
    return _module(recipe.kind).fit(  # type: ignore[no-any-return] # chosen at run time
        examples, recipe, validation=validation, checkpoint=checkpoint, progress=progress
    )


def score_out_of_fold(
    examples: Examples, recipe: Recipe, folds: Sequence[IntArray], *, progress: Progress = silent
) -> Probs:
    """Scores (tickets, labels) of every example by a scorer that never saw its fold."""
    return _module(recipe.kind).score_out_of_fold(examples, recipe, folds, progress=progress)  # type: ignore[no-any-return]


def open_scorer(kind: str, folder: Path) -> Scorer:
    """Build a scorer from a folder whose checksums were verified; raises ArtefactError for an unknown kind."""
    if kind not in _KINDS:
        raise ArtefactError(
            f"{folder}: scorer kind {kind[:40]!r} is unknown; this version reads {', '.join(_KINDS)}. Update tagdesk.",
            code="unknown_kind",
        )
    return _module(kind).OPENS.open(folder)  # type: ignore[no-any-return] # chosen at run time


def at_tier(scorer: Scorer, tier: str) -> Scorer:
    """The same scorer, quicker or more exact; raises UsageError for a tier that it does not have."""
    if tier not in TIERS:
        raise UsageError(f"Tier {tier[:40]!r} is unknown; expected one of {', '.join(TIERS)}.", code="unknown_tier")
    if scorer.kind == "cascade":
        return scorer.at(tier)  # type: ignore[attr-defined, no-any-return] # chosen at run time
    if tier != "exact":
        raise UsageError(f"A model of kind {scorer.kind} has the tier exact alone. Leave --tier out.", code="no_tier")
    return scorer


def _module(kind: str) -> ModuleType:
    try:
        return import_module(f"tagdesk.scorers.{kind}")
    except ImportError as error:
        extra = _KINDS[kind]
        if extra is None or (error.name or "").startswith("tagdesk"):
            raise
        raise MissingExtra(f"A {kind} scorer", extra) from error
