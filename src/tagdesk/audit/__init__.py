"""Looks for tickets whose labels are probably wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import BoolArray
from tagdesk.dataset import near_duplicate_groups, stratified_folds
from tagdesk.errors import InputError
from tagdesk.label_errors import Overlap, doubts, judged, overlaps, suspects
from tagdesk.measure import Evidence, examples_from
from tagdesk.scorers import Recipe
from tagdesk.scorers.base import Progress, silent
from tagdesk.taxonomy import Taxonomy
from tagdesk.ticket import Ticket
from tagdesk.train import out_of_fold, taxonomy_of


@dataclass(frozen=True, slots=True)
class Finding:
    """A ticket whose labels deserve a second look.

    Attributes:
        place: of the ticket among those that were audited, from 0.
        labels: as given.
        suggested: what they probably should be.
        doubt: how probable it is that the most doubtful answer is wrong, 0..1.
        reasons: why, in words.
    """

    place: int
    labels: frozenset[str]
    suggested: frozenset[str]
    doubt: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Attributes:
        findings: tickets, the most doubtful first.
        overlaps: pairs of labels that may say the same.
        evidence: what the findings stand on.
        names: the labels.
        rare: those that stand on too few tickets, or on nearly all, to be judged.
    """

    findings: tuple[Finding, ...]
    overlaps: tuple[Overlap, ...]
    evidence: Evidence
    names: tuple[str, ...]
    rare: tuple[str, ...]


def audit(
    tickets: Sequence[Ticket], recipe: Recipe, *, taxonomy: Taxonomy | None = None, progress: Progress = silent
) -> Audit:
    """Hold every label against what models say that were trained on the other tickets; all tickets must be labelled.

    Near duplicates are kept out of each other's training, so that an error cannot vouch for itself.
    """
    if any(not ticket.is_labelled for ticket in tickets):
        raise InputError("An audit needs labelled tickets. Leave the unlabelled ones out.", code="no_labels")
    if not tickets:
        raise InputError(
            "No ticket is labelled, so there is nothing to audit. Say which column holds the labels: --labels-column.",
            code="no_labels",
        )
    chosen = taxonomy or taxonomy_of(tickets)
    examples = examples_from(tickets, chosen)
    folds = stratified_folds(examples.texts, examples.targets, max(recipe.folds, 2), recipe.seed)
    evidence = out_of_fold(examples, chosen.names, recipe, folds, progress)
    known = judged(examples.targets)
    doubt = np.where(known, doubts(examples.targets, evidence.probs), 0.0)
    wrong = suspects(examples.targets, evidence.probs)
    reasons = [_reasons(row, given, chosen.names) for row, given in zip(wrong, examples.targets, strict=True)]
    for place, others in _contradictions(tickets).items():
        reasons[place].append(f"nearly the same text as {', '.join(others)}, with other labels")
    suggested = chosen.decode(examples.targets ^ wrong)
    found = [
        Finding(
            place=place,
            labels=tickets[place].labels or frozenset(),
            suggested=suggested[place],
            doubt=float(doubt[place][wrong[place]].max(initial=0.0)) or float(doubt[place].max()),
            reasons=tuple(why),
        )
        for place, why in enumerate(reasons)
        if why
    ]
    found.sort(key=lambda finding: -finding.doubt)
    pairs = overlaps(examples.targets, evidence.decided, chosen.names)
    rare = tuple(name for name, is_known in zip(chosen.names, known.tolist(), strict=True) if not is_known)
    return Audit(tuple(found), tuple(pairs), evidence, chosen.names, rare)


def _reasons(wrong: BoolArray, given: BoolArray, names: Sequence[str]) -> list[str]:
    """What is wrong with one ticket's answers, both (labels,), in words."""
    return [f"{name} may be {'wrong' if given[i] else 'missing'}" for i, name in enumerate(names) if wrong[i]]


def _contradictions(tickets: Sequence[Ticket]) -> Mapping[int, list[str]]:
    """Tickets with a near duplicate that carries other labels, and the ids of some of those."""
    most = 3
    groups: dict[int, list[int]] = {}
    for place, group in enumerate(near_duplicate_groups([ticket.text for ticket in tickets]).tolist()):
        groups.setdefault(group, []).append(place)
    found: dict[int, list[str]] = {}
    for members in groups.values():
        for place in members:
            others = [tickets[other].id for other in members if tickets[other].labels != tickets[place].labels]
            if others:
                found[place] = others[:most]
    return found
