"""Holds two models against the same labelled tickets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagdesk.compare import Answers, Pairs
from tagdesk.errors import InputError
from tagdesk.measure import AT_ONCE, examples_from
from tagdesk.model import Model
from tagdesk.prediction import Decision
from tagdesk.scorers.base import Progress, silent
from tagdesk.taxonomy import Taxonomy
from tagdesk.ticket import Ticket


def pairs_of(current: Model, challenger: Model, tickets: Sequence[Ticket], progress: Progress = silent) -> Pairs:
    """What both say of the labelled ones among the tickets, each by its own policy.

    The labels are the challenger's, then those that the current model alone knows; a label that a model does not know
    it never gives. Tickets of one customer stay together where all of them name one.

    Raises:
        InputError: where no ticket is labelled, one carries a label that neither model knows, or one has no text.
    """
    labelled = [ticket for ticket in tickets if ticket.is_labelled]
    if not labelled:
        raise InputError(
            "No ticket is labelled, so there is nothing to compare on. Say which column holds the labels: "
            "--labels-column.",
            code="no_labels",
        )
    names = challenger.taxonomy.names
    both = Taxonomy.of([*names, *(name for name in current.taxonomy.names if name not in names)])
    examples = examples_from(labelled, both)
    said = _answers(current, examples.texts, both, "current model", progress)
    claimed = _answers(challenger, examples.texts, both, "challenger", progress)
    units = [ticket.unit for ticket in labelled if ticket.unit]
    return Pairs(examples.targets, said, claimed, both.names, units if len(units) == len(labelled) else None)


def _answers(model: Model, texts: Sequence[str], taxonomy: Taxonomy, what: str, progress: Progress) -> Answers:
    decided = np.zeros((len(texts), len(taxonomy)), dtype=np.bool_)
    probs = np.zeros((len(texts), len(taxonomy)), dtype=np.float32)
    columns = [taxonomy.names.index(name) for name in model.taxonomy.names]
    for start in range(0, len(texts), AT_ONCE):
        progress(what, start, len(texts))
        part = slice(start, start + AT_ONCE)
        judged = model.judge(texts[part])
        decided[part, columns] = model.policy.decide(judged.probs, judged.none) >= Decision.SUGGEST
        probs[part, columns] = judged.probs
    progress(what, len(texts), len(texts))
    return Answers(decided, probs)
