from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

import tiny
from tagdesk.arrays import Embeddings
from tagdesk.case import Case
from tagdesk.errors import ArtefactError, InputError
from tagdesk.explaining.nearest import build_index, nearest, ticket_of
from tagdesk.model import Model
from tagdesk.prediction import Prediction
from tagdesk.review import Review
from tagdesk.scorers.linear import LinearScorer
from tagdesk.ticket import Ticket

NOW = datetime(2026, 5, 1, tzinfo=UTC)
BILLING, SHIPPING = frozenset({"Billing Issue"}), frozenset({"Shipping Concern"})
TICKETS = [
    Ticket("1", "my card was charged twice", BILLING),
    Ticket("2", "the parcel is late", SHIPPING),
    Ticket("3", "where is the parcel, it is lost", SHIPPING),
    Ticket("4", "thank you", frozenset()),
    Ticket("5", "nobody has labelled the parcel"),
]


class Counting(LinearScorer):
    """Sees how often each of three words stands in a text."""

    fault: ArtefactError | None = None

    def embed(self, texts: Sequence[str]) -> Embeddings:
        if self.fault is not None:
            raise self.fault
        return np.array([[text.count(word) for word in ("parcel", "late", "card")] for text in texts], dtype=np.float32)


def counting(model: Model, fault: ArtefactError | None = None) -> Model:
    scorer = model.scorer
    assert isinstance(scorer, LinearScorer)
    seeing = Counting(scorer._vectorizers, scorer._weights, scorer._bias)
    seeing.fault = fault
    return replace(model, scorer=seeing)


@pytest.fixture
def linear(models: dict[str, Model]) -> Model:
    return models["linear"]


def test_the_nearest_tickets_come_first_with_their_labels(linear: Model) -> None:
    index = build_index(linear, TICKETS)
    (found,) = nearest(["Parcel late?"], index, 2)
    assert [one.ticket.id for one in found] == ["2", "3"]
    assert 1 > found[0].similarity > found[1].similarity > 0
    assert found[0].to_dict() == {
        "id": "2",
        "text": "the parcel is late",
        "labels": ["Shipping Concern"],
        "similarity": round(found[0].similarity, 4),
        "copies": 1,
    }


def test_the_same_text_is_wholly_alike_and_one_with_nothing_in_common_not_at_all(linear: Model) -> None:
    index = build_index(linear, TICKETS)
    same, strange = nearest(["my card was charged twice", "zzz"], index, 10)
    assert (same[0].ticket.id, same[0].similarity) == ("1", pytest.approx(1))
    assert strange == []


def test_unlabelled_tickets_are_left_out_and_those_with_no_label_are_not(linear: Model) -> None:
    index = build_index(linear, [*TICKETS, Ticket("6", " \u200b", BILLING)])
    assert [ticket.id for ticket in index.tickets] == ["1", "2", "3", "4"]
    assert nearest(["thank you"], index, 1)[0][0].ticket.labels == frozenset()


def test_a_models_own_eyes_are_used_where_it_has_some(linear: Model) -> None:
    index = build_index(counting(linear), TICKETS[:3])
    assert np.allclose(index.vectors, [[0, 0, 1], [2**-0.5, 2**-0.5, 0], [1, 0, 0]])
    found = nearest(["late late parcel", "card card", "nothing"], index, 2)
    assert [[one.ticket.id for one in some] for some in found] == [["2", "3"], ["1"], []]
    assert found[0][0].similarity == pytest.approx(3 / 10**0.5)


def test_a_graph_without_vectors_gives_way_to_words_and_a_damaged_one_does_not(linear: Model) -> None:
    blind = counting(linear, ArtefactError("no such output", code="bad_graph"))
    assert [one.ticket.id for one in nearest(["the parcel is late"], build_index(blind, TICKETS), 1)[0]] == ["2"]
    with pytest.raises(ArtefactError, match="damaged"):
        build_index(counting(linear, ArtefactError("damaged", code="model_unhealthy")), TICKETS)


def test_near_duplicates_are_one_ticket_with_the_labels_of_most(linear: Model) -> None:
    copies = [
        Ticket("a", "the parcel is late", BILLING),
        Ticket("b", "The parcel IS late!", SHIPPING),
        Ticket("c", "is the parcel late?", SHIPPING),
        Ticket("d", "my card was charged", BILLING),
    ]
    index = build_index(linear, copies)
    (found,) = nearest(["parcel is late"], index)
    assert [(one.ticket.id, one.copies) for one in found] == [("b", 3)]
    assert index.copies.tolist() == [3, 1]


def test_a_bound_takes_a_sample_that_the_seed_repeats(linear: Model) -> None:
    many = tiny.tickets(60)
    one, same, other = (build_index(linear, many, most=10, seed=seed).tickets for seed in (1, 1, 2))
    assert one == same != other
    assert len(one) == 10
    assert [many.index(ticket) for ticket in one] == sorted(many.index(ticket) for ticket in one)


def test_progress_tells_how_many_are_read(linear: Model) -> None:
    steps: list[tuple[str, int, int]] = []
    many = [Ticket(str(n), f"parcel {n * n}", SHIPPING) for n in range(300)]
    build_index(linear, many, progress=lambda *step: steps.append(step))
    assert steps == [("nearest", 0, 300), ("nearest", 256, 300), ("nearest", 300, 300)]


def test_nothing_to_compare_with_is_told(linear: Model) -> None:
    for tickets in ([], [Ticket("1", "hi")], [Ticket("1", " ", BILLING)]):
        with pytest.raises(InputError, match="No ticket carries labels") as refused:
            build_index(linear, tickets)
        assert refused.value.code == "no_labels"
    with pytest.raises(ValueError, match="most = 0"):
        build_index(linear, TICKETS, most=0)


def test_no_neighbours_or_no_texts_are_no_answer(linear: Model) -> None:
    index = build_index(linear, TICKETS)
    assert nearest([], index) == []
    assert nearest(["parcel"], index, 0) == [[]]
    assert len(nearest(["the parcel"] * 300, index)) == 300
    with pytest.raises(InputError, match="empty"):
        nearest([" "], index)


def test_tickets_of_signs_alone_can_be_compared(linear: Model) -> None:
    index = build_index(linear, [Ticket("1", "!!!", BILLING), Ticket("2", "🙂 🙂", SHIPPING)])
    assert [one.ticket.id for one in nearest(["🙂"], index)[0]] == ["2"]


def test_a_reviewed_case_is_a_ticket_where_the_reviewers_agree() -> None:
    case = Case("7", "shop", NOW, Prediction("hi", (), {"A": 0.1}, {}, "m", "p"), unit="c-1")
    ada, bob = (Review("7", frozenset({label}), name, NOW) for label, name in (("A", "ada"), ("B", "bob")))
    assert ticket_of(case, [ada]) == Ticket("7", "hi", frozenset({"A"}), unit="c-1", time=NOW.isoformat())
    assert ticket_of(case, [ada, bob]).labels is None
    assert ticket_of(case, []).labels is None
