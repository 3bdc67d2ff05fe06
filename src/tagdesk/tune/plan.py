"""Which tickets a search may see, in which folds, and which are kept from it to the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tagdesk.arrays import IntArray
from tagdesk.dataset import stratified_folds
from tagdesk.errors import InputError, UsageError
from tagdesk.measure import examples_from
from tagdesk.scorers import Examples
from tagdesk.taxonomy import Taxonomy
from tagdesk.ticket import Ticket
from tagdesk.train import _taught as taught
from tagdesk.train import taxonomy_of
from tagdesk.tune.goal import Goal
from tagdesk.tune.space import Space

FORMAT: Final = 1  # of what a study remembers; another one is another search
PARTS: Final = 5  # one of them is kept from the search
FOLDS: Final = 5  # of the tickets that it sees
FEWEST_TEXTS: Final = 20  # different ones; of fewer a search learns nothing but chance
RARE: Final = 10  # tickets of a label, below which its figure is chance
FEW_TO_TELL: Final = 100  # tickets kept, below which only a great difference can be shown
_SHOWN: Final = 5  # labels that a sentence names


@dataclass(frozen=True, slots=True)
class Task:
    """What is searched for.

    Attributes:
        goal: what shall be high.
        space: the recipes to start from, and what may change in them; the first is what the result is compared with.
        latency_ms: how long one ticket of 20 words may take, in milliseconds; None for as long as it likes.
        seed: of the parts, the folds, the search and the recipes.
    """

    goal: Goal
    space: Space
    latency_ms: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.space.bases:
            raise UsageError("There is no recipe to search in. Name one or more with --recipes.", code="no_recipe")
        if self.latency_ms is not None and not 0 < self.latency_ms < float("inf"):
            raise UsageError(
                f"Latency of {self.latency_ms} ms: expected a number of milliseconds above 0.", code="bad_latency"
            )

    @property
    def default(self) -> str:
        """The name of the recipe with which the result is compared."""
        return next(iter(self.space.bases))


@dataclass(frozen=True, eq=False)
class Plan:
    """A task with its tickets.

    Attributes:
        task: what is searched for.
        taxonomy: the labels.
        inner: what the search sees; its targets have one more column, "none of these", where enough tickets teach it.
        outer: what it never sees, the targets with a column for each label alone.
        units: of the inner tickets, where a customer's tickets stay together.
        folds: rows of `inner`, disjoint and together all; near duplicates in one fold.
        counts: tickets of each label, inner and outer ones.
        warnings: what makes the result worth less, a sentence each.
        fingerprint: of everything that decides what the search finds, part by part.
    """

    task: Task
    taxonomy: Taxonomy
    inner: Examples
    outer: Examples
    units: Sequence[str | None] | None
    folds: tuple[IntArray, ...]
    counts: Mapping[str, int]
    warnings: tuple[str, ...]
    fingerprint: Mapping[str, str]

    @classmethod
    def of(cls, tickets: Sequence[Ticket], task: Task, *, taxonomy: Taxonomy | None = None) -> Plan:
        """Deal labelled tickets to an outer part, which is kept, and the folds of an inner one.

        Tickets of nearly the same text never land on two sides, nor do those of a customer where the first recipe says
        `fold_by = "unit"`.

        Args:
            tickets: those without known labels are left out.
            task: what is searched for.
            taxonomy: the labels; None: those that the tickets carry.

        Raises:
            InputError: where there are too few tickets, or too few that differ in their labels.
        """
        labelled = [ticket for ticket in tickets if ticket.is_labelled]
        chosen = taxonomy or taxonomy_of(labelled)
        everything = examples_from(labelled, chosen)
        _refuse(everything)
        by_unit = task.space.bases[task.default].fold_by == "unit"
        units = [ticket.unit for ticket in labelled] if by_unit else None
        kept = stratified_folds(everything.texts, everything.targets, PARTS, task.seed, units=units)[0]
        rest = np.setdiff1d(np.arange(len(everything)), kept)
        seen, outer = everything.take(rest), everything.take(kept)
        _refuse_alike(seen)
        inner_units = [units[row] for row in rest] if units else None
        folds = stratified_folds(seen.texts, seen.targets, FOLDS, task.seed, units=inner_units)
        counts = dict(zip(chosen.names, everything.targets.sum(axis=0).tolist(), strict=True))
        return cls(
            task,
            chosen,
            taught(seen, like=seen),
            outer,
            inner_units,
            tuple(folds),
            counts,
            _warnings(counts, outer),
            _fingerprint(task, everything, units, chosen),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in order."""
        return self.taxonomy.names

    def sample(self, count: int) -> IntArray:
        """Rows of `inner`, at most so many, drawn by the seed; in order."""
        size = min(count, len(self.inner))
        return np.sort(np.random.default_rng(self.task.seed).choice(len(self.inner), size, replace=False))


def _refuse(examples: Examples) -> None:
    texts = len(set(examples.texts))
    if texts < FEWEST_TEXTS:
        raise InputError(
            f"{texts} different labelled tickets are too few for a search; expected at least {FEWEST_TEXTS}, and some "
            "hundreds to learn more than chance.",
            code="too_few",
        )
    _refuse_alike(examples)


def _refuse_alike(examples: Examples) -> None:
    if (examples.targets == examples.targets[0]).all():
        raise InputError(
            "All tickets to learn from carry the same labels, so there is nothing to tell apart. Add tickets of other "
            "categories, or tickets without a label.",
            code="too_few",
        )


def _warnings(counts: Mapping[str, int], outer: Examples) -> tuple[str, ...]:
    found = []
    rare = [f"{name!r} ({count})" for name, count in counts.items() if count < RARE]
    if rare:
        more = f" and {len(rare) - _SHOWN} more" if len(rare) > _SHOWN else ""
        found.append(
            f"Labels with fewer than {RARE} tickets: {', '.join(rare[:_SHOWN])}{more}. Their figures are mostly "
            "chance; add tickets, or merge labels."
        )
    if len(outer) < FEW_TO_TELL:
        found.append(
            f"The result will be judged by {len(outer)} tickets; of so few only a great difference can be shown."
        )
    return tuple(found)


def _fingerprint(
    task: Task, examples: Examples, units: Sequence[str | None] | None, taxonomy: Taxonomy
) -> dict[str, str]:
    """12 hex digits for each part of what decides, so that a stranger's study can say where it differs."""
    rows = [
        [text, sorted(labels)] for text, labels in zip(examples.texts, taxonomy.decode(examples.targets), strict=True)
    ]
    parts: dict[str, Any] = {
        "format": FORMAT,
        "tickets": [rows, units],
        "labels": list(taxonomy.names),
        "objective": str(task.goal),
        "recipes": task.space.to_dict()["bases"],
        "search space": task.space.to_dict()["domains"],
        "latency": task.latency_ms,
        "seed": task.seed,
        "folds": [PARTS, FOLDS],
    }
    return {
        name: hashlib.sha256(json.dumps(part, ensure_ascii=False).encode(errors="backslashreplace")).hexdigest()[:12]
        for name, part in parts.items()
    }
