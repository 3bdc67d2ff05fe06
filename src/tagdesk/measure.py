"""What a model says of tickets, held against the labels that people gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tagdesk.arrays import BoolArray, Probs, Targets
from tagdesk.errors import InputError
from tagdesk.evaluate import Report, evaluate
from tagdesk.model import Model
from tagdesk.policy import Policy
from tagdesk.prediction import Decision
from tagdesk.scorers import Examples
from tagdesk.scorers.base import Progress, silent
from tagdesk.taxonomy import Taxonomy
from tagdesk.text import check_text
from tagdesk.ticket import Ticket

AT_ONCE = 1024  # tickets between two steps of the progress; enough to sort by length


@dataclass(frozen=True, slots=True)
class Evidence:
    """Tickets that were held out, and what was said of them; arrays are (tickets, labels).

    `source` says where they come from: `test`, or `out of fold`, where each ticket was scored, calibrated and decided
    by a model that had not seen it. The others are (tickets,): `known` is False where nobody labelled the ticket,
    `none` the probability that it belongs to no label, `refused` whether it was called out of scope.
    """

    source: str
    targets: Targets
    raw: Probs
    probs: Probs
    decided: BoolArray
    known: BoolArray
    none: Probs | None = None
    refused: BoolArray | None = None

    def report(self, names: Sequence[str], *, seed: int = 0) -> Report:
        """What the evidence says of the model's worth."""
        return evaluate(
            self.targets, self.probs, self.decided, names, known=self.known, refused=self.refused, seed=seed
        )


def judge_tickets(
    model: Model, tickets: Sequence[Ticket], *, policy: Policy | None = None, progress: Progress = silent
) -> Evidence:
    """What a model says of tickets; raises InputError where one carries a label that the model does not know."""
    examples = examples_from(tickets, model.taxonomy)
    raw, probs = np.zeros((2, *examples.targets.shape), dtype=np.float32)
    scopes = np.zeros(len(examples), dtype=np.float32)
    learned = False
    for start in range(0, len(examples), AT_ONCE):
        progress("tickets", start, len(examples))
        part = slice(start, start + AT_ONCE)
        judged = model.judge(examples.texts[part])
        raw[part], probs[part] = judged.raw, judged.probs
        if judged.none is not None:
            scopes[part], learned = judged.none, True
    chosen, none = policy or model.policy, scopes if learned else None
    decided = chosen.decide(probs, none) >= Decision.SUGGEST
    known = np.array([ticket.is_labelled for ticket in tickets], dtype=np.bool_)
    refused = None if none is None else chosen.refuses(none)
    return Evidence("test", examples.targets, raw, probs, decided, known, none, refused)


def examples_from(tickets: Sequence[Ticket], taxonomy: Taxonomy) -> Examples:
    """Cleaned texts and targets, none for an unlabelled ticket; raises InputError that names a ticket without text."""
    texts = []
    for ticket in tickets:
        try:
            texts.append(check_text(ticket.text).text)
        except InputError as error:
            raise InputError(f"Ticket {ticket.id[:80]}: {error}", code=error.code) from error
    return Examples(texts, taxonomy.encode([ticket.labels or frozenset() for ticket in tickets]))
