from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tagdesk.calibrate import Calibration
from tagdesk.compare import compare
from tagdesk.errors import InputError
from tagdesk.model import Model
from tagdesk.policy import Policy
from tagdesk.scorers.base import Scores
from tagdesk.taxonomy import Taxonomy
from tagdesk.ticket import Ticket
from tagdesk.versus import pairs_of

A, B, C, NONE = frozenset("A"), frozenset("B"), frozenset("C"), frozenset[str]()


@dataclass(frozen=True)
class Words:
    """Gives each of its words .9 where it stands in a text, else .1."""

    kind: ClassVar[str] = "words"
    words: Sequence[str]

    def score(self, texts: Sequence[str]) -> Scores:
        probs = [[0.9 if word in text.split() else 0.1 for word in self.words] for text in texts]
        nothing = np.zeros(len(texts))
        return Scores(np.array(probs, dtype=np.float32), nothing.astype(np.bool_), nothing)

    def passages(self, text: str) -> list[str]:
        return [text]

    def save(self, folder: Path) -> None:
        (folder / "words").write_text(" ".join(self.words))

    @classmethod
    def open(cls, folder: Path) -> Words:
        return cls((folder / "words").read_text().split())


def model(words: str, labels: str = "", suggest: float = 0.5, **policy: Any) -> Model:
    """A model that finds each label by a word, a letter each; by default a label is found by its own name."""
    names = tuple(labels or words)
    thresholds = np.full(len(names), suggest)
    return Model(
        Taxonomy.of(names),
        Words(words),
        Calibration.identity(len(words)),
        Policy(names, thresholds, np.full(len(names), np.inf), **policy),
    )


def ticket(text: str, labels: frozenset[str] | None, unit: str | None = None) -> Ticket:
    return Ticket(text, text, labels, unit)


def test_models_that_name_their_labels_in_another_order_are_held_against_each_other_label_by_label() -> None:
    tickets = [ticket("A b", A), ticket("B B", B), ticket("A B", A | B), ticket("c", NONE)]
    found = pairs_of(model("AB"), model("BA"), tickets)
    assert found.names == ("B", "A")
    assert found.targets.tolist() == [[False, True], [True, False], [True, True], [False, False]]
    for said in (found.current, found.challenger):
        assert said.decided.tolist() == found.targets.tolist()
        assert said.probs is not None
        assert said.probs[0].tolist() == pytest.approx([0.1, 0.9])
    assert compare(found).difference.value == 0


def test_a_label_that_only_the_challenger_knows_is_never_given_by_the_current_model() -> None:
    found = pairs_of(model("A"), model("CA"), [ticket("A C", A | C), ticket("A", A)])
    assert found.names == ("C", "A")
    assert found.current.decided.tolist() == [[False, True], [False, True]]
    assert found.current.probs is not None
    assert found.current.probs[:, 0].tolist() == [0, 0]
    assert found.challenger.decided.tolist() == found.targets.tolist()


def test_a_retired_label_stands_last_and_counts_against_a_challenger_that_lacks_it() -> None:
    found = pairs_of(model("ZAB"), model("BA"), [ticket("Z", frozenset("Z")), ticket("A Z", A)])
    assert found.names == ("B", "A", "Z")
    current, challenger = found.exact
    assert current.tolist() == [True, False]
    assert challenger.tolist() == [False, True]


def test_models_without_a_common_label_can_still_be_compared() -> None:
    found = pairs_of(model("A"), model("B"), [ticket("A B", A | B)])
    assert (found.names, found.exact[0].tolist()) == (("B", "A"), [False])


def test_a_label_that_neither_knows_is_told_by_its_name() -> None:
    with pytest.raises(InputError, match="'Unheard Of'") as caught:
        pairs_of(model("A"), model("B"), [ticket("A", A), ticket("B", frozenset({"Unheard Of"}))])
    assert caught.value.code == "unknown_label"


def test_unlabelled_tickets_are_passed_over_and_those_without_need_are_not() -> None:
    tickets = [ticket("A", None), ticket("b", NONE), ticket("B", None), ticket("A", A)]
    assert pairs_of(model("AB"), model("AB"), tickets).targets.tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize("tickets", [[], [Ticket("1", "A"), Ticket("2", "B")]], ids=["none", "unlabelled ones"])
def test_without_a_labelled_ticket_there_is_nothing_to_compare_on(tickets: list[Ticket]) -> None:
    with pytest.raises(InputError, match="--labels-column") as caught:
        pairs_of(model("A"), model("A"), tickets)
    assert caught.value.code == "no_labels"


def test_a_ticket_without_text_is_named() -> None:
    with pytest.raises(InputError, match="Ticket t7: The text is empty"):
        pairs_of(model("A"), model("A"), [Ticket("t6", "A", A), Ticket("t7", "\u200b", A)])


def test_a_customers_tickets_stay_together_where_all_that_count_name_one() -> None:
    named = [ticket("A", A, "u1"), ticket("b", NONE, "u2"), ticket("A A", A, "u1")]
    first = pairs_of(model("A"), model("A"), named)
    assert (first.units, first.unit_codes.tolist()) == (["u1", "u2", "u1"], [0, 1, 0])
    assert pairs_of(model("A"), model("A"), [*named, ticket("x", None)]).units == ["u1", "u2", "u1"]
    for nobody in (None, ""):
        assert pairs_of(model("A"), model("A"), [*named, ticket("x", NONE, nobody)]).units is None


def test_each_decides_by_its_own_thresholds() -> None:
    found = pairs_of(model("A", suggest=0.95), model("A", suggest=0.05), [ticket("A", A), ticket("x", NONE)])
    assert found.current.decided.tolist() == [[False], [False]]
    assert found.challenger.decided.tolist() == [[True], [True]]


def test_a_ticket_that_a_model_calls_out_of_scope_gets_no_label_from_it() -> None:
    careful = model("A?", labels="A", out_of_scope=0.5)
    found = pairs_of(model("A"), careful, [ticket("A", A), ticket("A ?", NONE)])
    assert found.current.decided.tolist() == [[True], [True]]
    assert found.challenger.decided.tolist() == [[True], [False]]


def test_texts_are_read_in_parts_that_change_nothing_and_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tickets = [ticket(f"{'A ' * (n % 2)}{'B ' * (n % 3)}{n}", A) for n in range(7)]
    whole = pairs_of(model("AB"), model("B"), tickets)
    monkeypatch.setattr("tagdesk.versus.AT_ONCE", 3)
    told: list[tuple[str, int, int]] = []
    parts = pairs_of(model("AB"), model("B"), tickets, lambda *step: told.append(step))
    for one, other in ((whole.current, parts.current), (whole.challenger, parts.challenger)):
        assert np.array_equal(one.decided, other.decided)
        assert one.probs is not None
        assert other.probs is not None
        assert np.array_equal(one.probs, other.probs)
    steps = [(done, 7) for done in (0, 3, 6, 7)]
    assert told == [(who, *step) for who in ("current model", "challenger") for step in steps]


def test_markup_is_read_as_it_is_in_training() -> None:
    found = pairs_of(model("A"), model("A"), [replace(ticket("1", A), text="<b>A</b>&nbsp;x")])
    assert found.current.decided.tolist() == [[True]]
