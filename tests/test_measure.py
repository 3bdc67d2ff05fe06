from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tiny
from tagdesk.arrays import IntArray
from tagdesk.errors import ArtefactError, InputError
from tagdesk.measure import AT_ONCE, examples_from, judge_tickets
from tagdesk.model import Model
from tagdesk.policy import Policy
from tagdesk.scorers.base import Scores
from tagdesk.taxonomy import Taxonomy
from tagdesk.ticket import Ticket


def test_figures_are_those_of_a_count_by_hand(models: dict[str, Model]) -> None:
    model = models["linear"]
    tickets = [
        Ticket("1", "card charged twice", frozenset({"Billing Issue"})),
        Ticket("2", "parcel late courier", frozenset({"Billing Issue"})),
        Ticket("3", "password locked", None),
    ]
    evidence = judge_tickets(model, tickets)
    report = evidence.report(model.taxonomy.names)
    given = [set(prediction.labels) for prediction in model.predict([ticket.text for ticket in tickets])]
    assert (report.n, report.n_labelled) == (3, 2)
    assert report.exact_match == np.mean([given[0] == {"Billing Issue"}, given[1] == {"Billing Issue"}])
    assert evidence.known.tolist() == [True, True, False]
    assert evidence.probs.tolist() == model.judge([ticket.text for ticket in tickets]).probs.tolist()


def test_another_policy_changes_what_is_decided_and_no_score(models: dict[str, Model]) -> None:
    model, tickets = models["linear"], tiny.tickets(10)
    usual, never = judge_tickets(model, tickets), judge_tickets(model, tickets, policy=Policy.uniform(tiny.LABELS, 1))
    assert not never.decided.any()
    assert usual.decided.any()
    assert usual.probs.tolist() == never.probs.tolist()


def test_many_tickets_are_judged_part_by_part_and_alike(models: dict[str, Model]) -> None:
    model, told = models["linear"], []
    tickets = tiny.tickets(AT_ONCE + 9, seed=3)
    evidence = judge_tickets(model, tickets, progress=lambda *step: told.append(step))
    assert told == [("tickets", 0, AT_ONCE + 9), ("tickets", AT_ONCE, AT_ONCE + 9)]
    assert np.allclose(evidence.probs, model.judge([ticket.text for ticket in tickets]).probs, atol=1e-6)
    assert judge_tickets(model, []).probs.shape == (0, 3)


def test_unknown_labels_and_empty_texts_are_named(models: dict[str, Model]) -> None:
    with pytest.raises(InputError, match="'Praise'") as caught:
        judge_tickets(models["linear"], [Ticket("1", "hi there", frozenset({"Praise"}))])
    assert caught.value.code == "unknown_label"
    with pytest.raises(InputError, match="Ticket t-7: The text is empty"):
        examples_from([Ticket("t-7", "\u200b")], Taxonomy.of(tiny.LABELS))


def test_m9_weights_that_give_no_numbers_are_unhealthy(models: dict[str, Model]) -> None:
    class Broken:
        kind = "linear"

        def score(self, texts: list[str]) -> Scores:
            rows: IntArray = np.zeros(len(texts), dtype=np.int64)
            return Scores(np.full((len(texts), 3), np.nan, dtype=np.float32), rows > 0, rows.astype(np.float64))

    with pytest.raises(ArtefactError) as caught:
        judge_tickets(replace(models["linear"], scorer=Broken()), tiny.tickets(3))  # type: ignore[arg-type] # half a scorer
    assert caught.value.code == "model_unhealthy"
