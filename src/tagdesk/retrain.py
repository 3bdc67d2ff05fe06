"""Makes a candidate from what people corrected, and says whether it may answer in place of the current model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tagdesk.compare import Answers, Finding, LabelDifference, Pairs, Verdict, by_label, differences, judge
from tagdesk.dataset import near_duplicate_groups, stratified_folds
from tagdesk.errors import InputError
from tagdesk.measure import examples_from
from tagdesk.model import Model
from tagdesk.review import Review, standing
from tagdesk.scorers import Recipe
from tagdesk.scorers.base import Progress, silent
from tagdesk.taxonomy import Label, Taxonomy
from tagdesk.text import clean
from tagdesk.ticket import Ticket
from tagdesk.train import Trained, data_fingerprint, train
from tagdesk.trust import Lesson, Vetted, vet
from tagdesk.versus import pairs_of

if TYPE_CHECKING:
    from tagdesk.store import Reviewed

MARGIN = 0.01  # of macro F1 and of exact match, that the candidate may lose
PARTS = 5  # of the base set, one of which is the golden set where none is given


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a store teaches: lessons with the tickets that they are about, and how many cases teach nothing.

    Attributes:
        lessons: one for each case on which people agree.
        tickets: with the labels that they found, in the same order.
        contradictory: cases whose reviewers found different labels.
        without_text: cases whose text is no longer kept.
    """

    lessons: tuple[Lesson, ...]
    tickets: tuple[Ticket, ...]
    contradictory: int
    without_text: int


@dataclass(frozen=True, slots=True)
class Retrained:
    """A candidate with the reasons for it and against it.

    Attributes:
        trained: the candidate.
        learned: tickets that it learned from.
        taught: those of them that people reviewed; fewer than were kept where some resemble golden ones.
        golden: tickets that it was held against the current model on.
        vetted: which lessons taught, and which must wait.
        verdicts: on macro F1, then on exact match.
        labels: on which it is shown to be worse.
        against: why it must not answer; empty where it may.
    """

    trained: Trained
    learned: int
    taught: int
    golden: int
    vetted: Vetted
    verdicts: tuple[Verdict, ...]
    labels: tuple[LabelDifference, ...]
    against: tuple[str, ...]

    @property
    def is_fit(self) -> bool:
        """Whether it may answer in place of the current model."""
        return not self.against


def lessons_of(reviewed: Iterable[Reviewed]) -> Lessons:
    """The lessons of cases that people reviewed, in their order."""
    lessons, tickets = [], []
    contradictory = without_text = 0
    for one in reviewed:
        case, labels = one.case, one.labels
        if labels is None:
            contradictory += 1
        elif not case.has_text:
            without_text += 1
        else:
            said, names = frozenset(case.prediction.labels), _who_found(labels, one.reviews)
            time = standing(one.reviews)[-1].time
            lessons.append(Lesson(case.id, case.prediction.scores, said, labels, names, time))
            tickets.append(Ticket(case.id, case.prediction.text, labels, case.unit, case.time.isoformat()))
    return Lessons(tuple(lessons), tuple(tickets), contradictory, without_text)


def _who_found(labels: frozenset[str], reviews: Sequence[Review]) -> tuple[str, ...]:
    """Those whose last review says so, also where somebody else then settled a contradiction their way."""
    last = {review.reviewer: review.labels for review in reviews}
    return tuple(name for name, found in last.items() if found == labels)


def retrain(  # noqa: PLR0913 - what to learn from, whom to beat, how, and whom to tell
    base: Sequence[Ticket],
    taught: Lessons,
    live: Model,
    recipe: Recipe,
    *,
    golden: Sequence[Ticket] | None = None,
    margin: float = MARGIN,
    trusted: frozenset[str] = frozenset(),
    progress: Progress = silent,
) -> Retrained:
    """Fit a candidate to the base set and the lessons, and hold it against the current model.

    The candidate must not answer where it loses `margin` or more of macro F1 or of exact match on the golden set, is
    shown to be worse in one of them, or in the F1 of a label. Macro F1 is that of the labels which golden tickets
    carry, so that others do not thin a loss out. Nothing that resembles a golden ticket teaches.

    Args:
        base: labelled tickets; where a lesson is about the same text, the lesson holds.
        taught: see `lessons_of`.
        live: what answers now.
        recipe: how the candidate is fitted.
        golden: labelled tickets that nobody but you can change; None: a fifth of the base set is held out, the same
            for the same base set and recipe seed.
        margin: above 0.
        trusted: reviewers whose corrections are not held back, see `vet`.
        progress: is told what is going on.

    Raises:
        InputError: where there is too little to learn from or to compare on, no golden ticket carries a label, or the
            current model has learned from the very tickets of which some would be golden.
    """
    labelled = [ticket for ticket in base if ticket.is_labelled]
    if golden is None:
        labelled, golden = _held_out(labelled, live, recipe.seed)
    tests = [ticket for ticket in golden if ticket.is_labelled]
    if not _labels_of(tests):
        raise InputError(
            f"None of the {len(golden):,} golden tickets carries a label, so nothing can be compared on them. Label "
            "some, or name others with --golden.",
            code="no_labels",
        )
    vetted = vet(taught.lessons, others=len(labelled), trusted=trusted)
    lessons = [taught.tickets[place] for place in vetted.kept]
    base_kept, lessons = _apart_from(tests, _without(labelled, lessons), lessons)
    tickets = [*base_kept, *lessons]
    taxonomy = _grown(live.taxonomy, [*tickets, *tests])
    trained = train(tickets, recipe, taxonomy=taxonomy, test=tests, progress=progress)
    pairs = pairs_of(live, trained.model, tests, progress)
    found = (*differences(_carried(pairs), ["f1_macro"]), *differences(pairs, ["exact_match"]))
    verdicts = tuple(judge(difference, margin, who="The candidate") for difference in found)
    worse = tuple(_worse_labels(pairs))
    lost = [name for name in live.taxonomy.names if name not in taxonomy.names]
    against = [
        *(f"it no longer knows {name!r}, which no ticket to learn from carries" for name in lost),
        *(_fall(verdict, margin) for verdict in verdicts),
        *(f"it is worse: {one.f1.words}" for one in worse),
    ]
    return Retrained(
        trained,
        len(tickets),
        len(lessons),
        len(tests),
        vetted,
        verdicts,
        worse,
        tuple(reason for reason in against if reason),
    )


def _fall(verdict: Verdict, margin: float) -> str:
    """Why a gate stays shut; empty where it opens."""
    difference = verdict.difference
    if verdict.finding is Finding.UNDEFINED or difference.value is None:
        return verdict.sentence.removesuffix(".")
    if difference.value <= -margin or verdict.is_worse:
        return f"it loses on the golden set: {difference.words}"
    return ""


def _worse_labels(pairs: Pairs) -> list[LabelDifference]:
    return [one for one in by_label(pairs) if one.f1.gain is not None and one.f1.gain[1] < 0 and not one.f1.doubt]


def _carried(pairs: Pairs) -> Pairs:
    """The pairs without the labels that no ticket carries."""
    columns = np.flatnonzero(pairs.targets.any(axis=0))
    current, challenger = (Answers(one.decided[:, columns]) for one in (pairs.current, pairs.challenger))
    names = tuple(pairs.names[column] for column in columns)
    return Pairs(pairs.targets[:, columns], current, challenger, names, pairs.units)


def _held_out(tickets: Sequence[Ticket], live: Model, seed: int) -> tuple[list[Ticket], list[Ticket]]:
    """The base set in what teaches and what is golden; near duplicates are on one side, and a customer's tickets."""
    if len(tickets) < 2 * PARTS:
        raise InputError(
            f"{len(tickets)} labelled tickets are too few to learn from and to compare on. Give more, or name a file "
            "of tickets with --golden.",
            code="too_few",
        )
    taxonomy = Taxonomy.of(sorted(_labels_of(tickets)) or ["none"])
    examples = examples_from(tickets, taxonomy)
    if live.manifest and live.manifest.origin.get("data") == data_fingerprint(examples, taxonomy):
        raise InputError(
            f"The current model, {live.id}, has learned from exactly these tickets, so none of them can tell which "
            "model is better. Name tickets that it has not seen with --golden.",
            code="seen",
        )
    units = [ticket.unit for ticket in tickets]
    folds = stratified_folds(examples.texts, examples.targets, PARTS, seed, units=units if any(units) else None)
    golden = set(folds[0].tolist())
    return (
        [ticket for place, ticket in enumerate(tickets) if place not in golden],
        [ticket for place, ticket in enumerate(tickets) if place in golden],
    )


def _without(base: Sequence[Ticket], lessons: Sequence[Ticket]) -> list[Ticket]:
    """The base set without texts that a lesson is about."""
    newer = {clean(ticket.text).text for ticket in lessons}
    return [ticket for ticket in base if clean(ticket.text).text not in newer]


def _apart_from(golden: Sequence[Ticket], *parts: Sequence[Ticket]) -> list[list[Ticket]]:
    """Those tickets of each part that are no near duplicates of golden ones."""
    everything = [*golden, *(ticket for part in parts for ticket in part)]
    groups = iter(near_duplicate_groups([clean(ticket.text).text for ticket in everything]).tolist())
    taken = {next(groups) for _ in golden}
    return [[ticket for ticket in part if next(groups) not in taken] for part in parts]


def _grown(taxonomy: Taxonomy, tickets: Sequence[Ticket]) -> Taxonomy:
    """The taxonomy with the labels that it lacks, without those of which no ticket is left."""
    found = _labels_of(tickets)
    kept = [label for label in taxonomy.labels if label.name in found]
    return replace(taxonomy, labels=(*kept, *(Label(name) for name in sorted(found - {label.name for label in kept}))))


def _labels_of(tickets: Sequence[Ticket]) -> set[str]:
    return {label for ticket in tickets for label in ticket.labels or ()}
