"""What an experiment is: who takes part in it, and which variants share them out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

from tagdesk.errors import UsageError
from tagdesk.experiment.layout import PARTS, Segment, in_order, shifted

RULE = 1  # how units are placed; a new way to place them gets a new number, and old experiments keep theirs
CLOSE = 1e-6  # from 1, for shares that are written with six digits


class Unit(StrEnum):
    """What is assigned as a whole."""

    CUSTOMER = "customer"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the ways to answer, and the share of the units in the experiment that get it, 0..1."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Step:
    """From `start` on, this share of the units takes part, 0..1."""

    start: datetime
    share: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """Some variants of answering, and the rule by which each unit gets one of them for good.

    Attributes:
        name: part of the hash, so that two experiments share their units out independently.
        variants: at least two, their shares summing to 1; the first is what is current.
        salt: part of the hash too; a new one draws all units anew, the same one keeps them through every change.
        unit: what is assigned: the customer, or each ticket.
        holdout: share of all units that never take part, 0 to below 1.
        ramp: when which share of the others takes part, rising; without steps all do at once.
        segments: which part of the hash's range belongs to which variant; those of the variants in order if left out.
            It is what `with_shares` keeps, so it belongs into every copy.

    Raises:
        UsageError: `bad_experiment`, for anything that does not hold.

    >>> one = Experiment("colder", (Variant("current", 0.5), Variant("challenger", 0.5)))
    >>> one.shares
    {'current': 0.5, 'challenger': 0.5}
    """

    name: str
    variants: tuple[Variant, ...]
    salt: str = "1"
    unit: Unit = Unit.CUSTOMER
    holdout: float = 0.0
    ramp: tuple[Step, ...] = ()
    segments: tuple[Segment, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "variants", tuple(self.variants))
        object.__setattr__(self, "ramp", tuple(self.ramp))
        if problem := next(_problems(self), None):
            raise UsageError(f"Experiment {self.name!r}: {problem}", code="bad_experiment")
        segments = tuple(self.segments) or in_order(self.shares)
        object.__setattr__(self, "segments", segments)
        ends = [0, *(segment.end for segment in segments)]
        if ends[-1] != PARTS or sorted(set(ends)) != ends or shifted(segments, self.shares) != segments:
            raise UsageError(
                f"Experiment {self.name!r}: its segments give other shares than its variants. Expected the segments "
                "that `with_shares` left; leave them out of a new experiment, and change shares by it alone.",
                code="bad_experiment",
            )

    @property
    def shares(self) -> dict[str, float]:
        """The share of each variant, in order."""
        return {variant.name: variant.share for variant in self.variants}

    @property
    def current(self) -> str:
        """The name of the variant that is current."""
        return self.variants[0].name

    def exposed(self, now: datetime) -> float:
        """The share of the units that are not held out and take part at a time."""
        if not self.ramp:
            return 1.0
        return next((step.share for step in reversed(self.ramp) if step.start <= now), 0.0)

    def with_shares(self, shares: Mapping[str, float]) -> Experiment:
        """The experiment with other shares, in which no unit moves that need not.

        A variant that shrinks gives up no more than it must, and one that grows loses nobody. Names that are new join
        as variants; those that are missing keep their place with a share of 0.

        >>> before = Experiment("colder", (Variant("a", 0.5), Variant("b", 0.5)))
        >>> before.with_shares({"a": 0.4, "b": 0.4, "c": 0.2}).shares
        {'a': 0.4, 'b': 0.4, 'c': 0.2}
        """
        names = dict.fromkeys([*self.shares, *shares])
        variants = tuple(Variant(name, shares.get(name, 0.0)) for name in names)
        # What is wrong with the shares is said before anything is shared out by them.
        wanted = replace(self, variants=variants, segments=())
        return replace(wanted, segments=shifted(self.segments, wanted.shares))

    def to_dict(self) -> dict[str, Any]:
        """The experiment as JSON holds it."""
        return {
            "rule": RULE,
            "name": self.name,
            "variants": [{"name": variant.name, "share": variant.share} for variant in self.variants],
            "salt": self.salt,
            "unit": self.unit.value,
            "holdout": self.holdout,
            "ramp": [{"start": step.start.isoformat(), "share": step.share} for step in self.ramp],
            "segments": [[segment.end, segment.variant] for segment in self.segments],
        }

    @classmethod
    def from_dict(cls, document: Any) -> Experiment:
        """Read what `to_dict` wrote; raises UsageError `bad_experiment` where it is anything else."""
        try:
            rule = document["rule"]
            experiment = cls(
                document["name"],
                tuple(Variant(entry["name"], entry["share"]) for entry in document["variants"]),
                document["salt"],
                Unit(document["unit"]),
                document["holdout"],
                tuple(Step(datetime.fromisoformat(entry["start"]), entry["share"]) for entry in document["ramp"]),
                tuple(Segment(end, variant) for end, variant in document["segments"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                f"The experiment cannot be read ({type(error).__name__}: {error}). Expected what "
                "`Experiment.to_dict` writes; write it anew from there.",
                code="bad_experiment",
            ) from None
        if rule != RULE:
            raise UsageError(
                f"Experiment {experiment.name!r} places its units by rule {rule!r}; expected {RULE}. Read it with the "
                "tagdesk that wrote it, or a newer one.",
                code="bad_experiment",
            )
        return experiment


def _problems(experiment: Experiment) -> Iterator[str]:
    """What does not hold, with what was expected and the remedy, the gravest first."""
    names = [variant.name for variant in experiment.variants]
    texts: list[tuple[str, object]] = [("name", experiment.name), ("salt", experiment.salt)]
    for kind, text in texts + [("variant", name) for name in names]:
        if not (isinstance(text, str) and text.strip()):
            yield f"its {kind} is {text!r}. Expected a text; give one."
    if len(names) < 2:
        yield f"it has {len(names)} variants. Expected at least two, the current one first; add one."
    if twice := [name for name in names if names.count(name) > 1]:
        yield f"two variants are called {twice[0]!r}. Expected each name once; rename one."
    yield from _bad_shares(experiment)
    yield from _bad_ramp(experiment.ramp)


def _bad_shares(experiment: Experiment) -> Iterator[str]:
    for variant in experiment.variants:
        if not _is_share(variant.share):
            yield f"variant {variant.name!r} has the share {variant.share!r}. Expected a number from 0 to 1."
    total = math.fsum(variant.share for variant in experiment.variants)
    if abs(total - 1) > CLOSE:
        yield f"its shares sum to {total:g}. Expected 1; change one of {', '.join(experiment.shares)}."
    if not _is_share(experiment.holdout) or experiment.holdout == 1:
        yield f"its holdout is {experiment.holdout!r}. Expected a number from 0 to below 1."


def _bad_ramp(ramp: Sequence[Step]) -> Iterator[str]:
    for step in ramp:
        if not _is_share(step.share):
            yield f"its ramp has the share {step.share!r}. Expected a number from 0 to 1."
        if step.start.tzinfo is None:
            yield f"its ramp has the time {step.start} without a zone. Expected one such as {step.start}+00:00."
    for before, after in pairwise(ramp):
        if after.start <= before.start or after.share < before.share:
            yield (
                f"its ramp goes from {before.share:g} at {before.start} to {after.share:g} at {after.start}. Expected "
                "later and not smaller; who takes part stays in. End the experiment to stop it."
            )


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
