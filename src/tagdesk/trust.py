"""Decides which corrections may teach a model, so that no single source can turn it round."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np

from tagdesk.arrays import BoolArray, FloatArray

FEWEST = 10  # equal corrections of one reviewer, from which on they are looked at
LEAP = 3.0  # times as many as is expected, from which on that is odd
SELDOM = 1e-4  # how seldom chance may bring that about
FEWEST_OTHERS = 20  # cases that others reviewed, from which on their word counts
SHARE = 0.2  # of all that a model learns from, what one reviewer alone may change
ALWAYS = 50  # corrections that one reviewer may always make


@dataclass(frozen=True, slots=True)
class Lesson:
    """What people found of a case on which they agree, and what the model had said.

    Attributes:
        case: its id.
        scores: the calibrated probability of each label, as it was said.
        said: the labels that were given.
        found: those that are right.
        reviewers: who found so, the first one first; several confirm each other.
        time: of the last review.
    """

    case: str
    scores: Mapping[str, float]
    said: frozenset[str]
    found: frozenset[str]
    reviewers: tuple[str, ...]
    time: datetime

    @property
    def changes(self) -> frozenset[Change]:
        """What was corrected; empty where the model was right."""
        added = {Change(label, is_added=True) for label in self.found - self.said}
        return frozenset(added | {Change(label, is_added=False) for label in self.said - self.found})


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """A label that people added, or took away."""

    label: str
    is_added: bool

    def __str__(self) -> str:
        return f"added {self.label!r}" if self.is_added else f"took {self.label!r} away"

    def chance(self, lesson: Lesson) -> float | None:
        """How probable the correction was by the model's own word; None where the case did not allow for it."""
        if (self.label in lesson.said) is self.is_added:
            return None
        score = lesson.scores.get(self.label, 0.0)
        return score if self.is_added else 1.0 - score


@dataclass(frozen=True, slots=True)
class Mass:
    """Equal corrections of one reviewer, many more than anybody else's and than the model expects to be wrong.

    Attributes:
        reviewer: whose they are.
        change: what was corrected each time.
        made: how often.
        chances: cases of this reviewer that allowed for it.
        expected: corrections that the model's probabilities let expect on these cases.
        others: the share of such cases that others corrected so; None where they saw too few.
    """

    reviewer: str
    change: Change
    made: int
    chances: int
    expected: float
    others: float | None

    @property
    def sentence(self) -> str:
        """What a person reads."""
        beside = "" if self.others is None else f", and others do so in {self.others:.0%} of cases"
        return (
            f"{self.reviewer} {self.change} in {self.made:,} of {self.chances:,} cases; the model expects "
            f"{self.expected:.0f}{beside}"
        )


@dataclass(frozen=True, slots=True)
class Vetted:
    """Which lessons may teach.

    Attributes:
        kept: their places, in order.
        waiting: place -> why it waits for somebody else to confirm or to settle it.
        masses: what was odd, the largest first.
    """

    kept: tuple[int, ...]
    waiting: Mapping[int, str]
    masses: tuple[Mass, ...]


def vet(lessons: Sequence[Lesson], *, others: int = 0, trusted: frozenset[str] = frozenset()) -> Vetted:
    """Tell lessons that may teach from those that must wait for a second person.

    A sudden mass of equal corrections by one reviewer waits, where both the model's calibrated probabilities and the
    other reviewers speak against it. Beyond that one reviewer alone changes at most `SHARE` of all that is learned
    from (`ALWAYS` at the least), the oldest corrections first. What two people found alike always teaches, and so do
    cases in which nothing was corrected.

    Args:
        lessons: one for each case.
        others: tickets that are learned from beside them.
        trusted: reviewers whose corrections are not held back.

    >>> from datetime import UTC
    >>> may = datetime(2026, 5, 1, tzinfo=UTC)
    >>> sure, right = {"A": 0.98}, frozenset({"A"})
    >>> flips = [Lesson(str(n), sure, right, frozenset(), ("eve",), may) for n in range(30)]
    >>> fair = [Lesson(f"f{n}", sure, right, right, ("ada",), may) for n in range(30)]
    >>> vetted = vet([*flips, *fair])
    >>> len(vetted.kept), vetted.masses[0].sentence
    (30, "eve took 'A' away in 30 of 30 cases; the model expects 1, and others do so in 0% of cases")
    """
    masses = sorted(_masses(lessons, trusted), key=lambda mass: (-mass.made, mass.reviewer, mass.change))
    odd = {(mass.reviewer, mass.change) for mass in masses}
    waiting: dict[int, str] = {}
    for place, lesson in enumerate(lessons):
        found = [change for change in sorted(lesson.changes) if _sole(lesson) and (_sole(lesson), change) in odd]
        if found:
            waiting[place] = f"one of many cases in which {_sole(lesson)} {found[0]}"
    waiting |= _beyond_the_cap(lessons, waiting, len(lessons) + others, trusted)
    return Vetted(tuple(place for place in range(len(lessons)) if place not in waiting), waiting, tuple(masses))


def _sole(lesson: Lesson) -> str:
    """The one reviewer of a case; empty where several found the same."""
    return lesson.reviewers[0] if len(set(lesson.reviewers)) == 1 else ""


def _masses(lessons: Sequence[Lesson], trusted: frozenset[str]) -> list[Mass]:
    alone: dict[str, list[int]] = defaultdict(list)  # reviewer -> places of lessons that are theirs alone
    involved: dict[str, list[int]] = defaultdict(list)  # and of all that they had a part in
    made: Counter[tuple[str, Change]] = Counter()
    for place, lesson in enumerate(lessons):
        for name in set(lesson.reviewers):
            involved[name].append(place)
        if reviewer := _sole(lesson):
            alone[reviewer].append(place)
            made.update((reviewer, change) for change in lesson.changes)
    many = [key for key, times in made.items() if times >= FEWEST and key[0] not in trusted]
    by_change = {change: _Views.of(lessons, change) for change in sorted({change for _, change in many})}
    found = []
    for reviewer, change in many:
        views = by_change[change]
        mine = views.chances[alone[reviewer]]
        seen_by_others, made_by_others = (
            int(column.sum() - column[involved[reviewer]].sum()) for column in (views.is_open, views.is_made)
        )
        counted = seen_by_others >= FEWEST_OTHERS
        mass = Mass(
            reviewer,
            change,
            made[reviewer, change],
            int(views.is_open[alone[reviewer]].sum()),
            float(mine.sum()),
            made_by_others / seen_by_others if counted else None,
        )
        if _is_odd_to_the_model(mass) and not (counted and _is_usual(mass, made_by_others, seen_by_others)):
            found.append(mass)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """What all lessons say of one change, each (lessons,).

    Attributes:
        is_open: whether the case allowed for it.
        is_made: whether it was made.
        chances: how probable it was by the model's own word; 0 where the case did not allow for it.
    """

    is_open: BoolArray
    is_made: BoolArray
    chances: FloatArray

    @classmethod
    def of(cls, lessons: Sequence[Lesson], change: Change) -> Self:
        chances = [change.chance(lesson) for lesson in lessons]
        is_open = np.array([chance is not None for chance in chances], dtype=np.bool_)
        is_found = np.array([change.label in lesson.found for lesson in lessons], dtype=np.bool_)
        return cls(is_open, is_open & (is_found == change.is_added), np.array([chance or 0.0 for chance in chances]))


def _is_odd_to_the_model(mass: Mass) -> bool:
    from scipy.stats import poisson  # noqa: PLC0415 - slow to import

    # Poisson's tail is wider than that of chances that are added up, so it errs on the reviewer's side.
    return mass.made >= LEAP * mass.expected and float(poisson.sf(mass.made - 1, mass.expected)) < SELDOM


def _is_usual(mass: Mass, made_by_others: int, seen_by_others: int) -> bool:
    """Whether others make the same correction about as often."""
    from scipy.stats import fisher_exact  # noqa: PLC0415 - slow to import

    table = [[mass.made, mass.chances - mass.made], [made_by_others, seen_by_others - made_by_others]]
    by_chance = float(fisher_exact(table, alternative="greater").pvalue)
    return by_chance >= SELDOM or mass.made / mass.chances < LEAP * made_by_others / seen_by_others


def _beyond_the_cap(
    lessons: Sequence[Lesson], waiting: Mapping[int, str], everything: int, trusted: frozenset[str]
) -> dict[int, str]:
    most = max(ALWAYS, int(SHARE * everything))
    changed: dict[str, int] = defaultdict(int)
    found = {}
    for place in sorted(range(len(lessons)), key=lambda place: (lessons[place].time, place)):
        reviewer = _sole(lessons[place])
        if place in waiting or not reviewer or reviewer in trusted or not lessons[place].changes:
            continue
        changed[reviewer] += 1
        if changed[reviewer] > most:
            found[place] = f"{reviewer} alone may change {most:,} of {everything:,} tickets"
    return found
