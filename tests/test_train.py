from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny
from tagdesk.errors import InputError
from tagdesk.model import Model
from tagdesk.scorers import Recipe
from tagdesk.taxonomy import Label, Taxonomy
from tagdesk.ticket import Ticket
from tagdesk.train import Trained, data_fingerprint, model_around, support_taxonomy, taxonomy_of, train

LINEAR = Recipe(kind="linear", max_features=500, folds=3)


@pytest.fixture(scope="module")
def trained(tickets: list[Ticket], encoder: Path) -> Trained:
    return train(tickets, Recipe(kind="probe", encoder=str(encoder)))


def test_a_model_learns_to_tell_the_topics_apart(trained: Trained) -> None:
    first, second = trained.model.predict(["card charged twice", "parcel late courier"])
    assert (first.best, second.best) == ("Billing Issue", "Shipping Concern")
    assert trained.report.f1_micro is not None
    assert trained.report.f1_micro > 0.7


def test_the_report_stands_on_tickets_that_were_held_out(trained: Trained, tickets: list[Ticket]) -> None:
    assert trained.evidence.source == "out of fold"
    assert trained.report.n == len(tickets)
    assert not np.array_equal(trained.evidence.raw, trained.model.scorer.score([t.text for t in tickets]).probs)


def test_test_tickets_are_measured_and_change_nothing_of_the_model(tickets: list[Ticket]) -> None:
    plain, tested = train(tickets, LINEAR), train(tickets, LINEAR, test=tiny.tickets(20, seed=5))
    assert (tested.evidence.source, tested.report.n) == ("test", 20)
    text = ["parcel late and card charged"]
    assert plain.model.judge(text).probs.tolist() == tested.model.judge(text).probs.tolist()
    assert plain.model.policy.id == tested.model.policy.id


def test_a_model_around_a_fitted_scorer_is_the_one_that_training_makes(tickets: list[Ticket]) -> None:
    validation = tiny.tickets(25, seed=7)
    made = train(tickets, LINEAR, validation=validation)
    again = model_around(made.model.scorer, tickets, validation, LINEAR, made.model.taxonomy)
    assert again.report == made.report
    assert again.model.policy.id == made.model.policy.id
    assert again.model.manifest is not None
    assert made.model.manifest is not None
    assert again.model.manifest.origin == made.model.manifest.origin
    with pytest.raises(InputError):
        model_around(made.model.scorer, tickets, [Ticket("1", "no labels")], LINEAR, made.model.taxonomy)


def test_thresholds_are_fitted_on_validation_tickets_where_there_are_some(tickets: list[Ticket]) -> None:
    found = train(tickets, LINEAR, validation=tiny.tickets(25, seed=7))
    assert found.model.policy.fitted_on == found.report.n == 25
    without = train(tickets, replace(LINEAR, folds=0, validation_share=0.25))
    assert without.model.policy.fitted_on == without.report.n
    assert 10 <= without.report.n <= 20


def test_the_same_data_and_seed_give_the_same_model(tickets: list[Ticket], encoder: Path, tmp_path: Path) -> None:
    for recipe in (LINEAR, Recipe(kind="probe", encoder=str(encoder))):
        first, again = (train(tickets, recipe).model.save(tmp_path / name).id for name in ("a", "b"))
        assert first == again
    other = train(tickets, replace(LINEAR, seed=1)).model.save(tmp_path / "c")
    assert other.manifest is not None
    assert dict(other.manifest.origin)["recipe"]["seed"] == 1


def test_the_fingerprint_of_data_is_that_of_texts_and_labels_in_any_order(tickets: list[Ticket]) -> None:
    examples, taxonomy = tiny.examples(), Taxonomy.of(tiny.LABELS)
    found = data_fingerprint(examples, taxonomy)
    assert found == data_fingerprint(examples.take(np.arange(len(examples))[::-1]), taxonomy)
    assert found != data_fingerprint(examples.take(np.arange(len(examples) - 1)), taxonomy)
    origin = train(tickets, LINEAR).model.manifest
    assert origin is not None
    assert dict(origin.origin)["data"] == found
    assert dict(origin.origin)["tickets"] == len(tickets)


def test_unlabelled_tickets_teach_nothing(tickets: list[Ticket]) -> None:
    more = [*tickets, Ticket("u", "nobody knows what this is")]
    assert train(more, LINEAR).report.n == len(tickets)


def test_labels_come_from_the_tickets_known_ones_first_with_their_descriptions() -> None:
    found = taxonomy_of(
        [Ticket("1", "a", frozenset({"Zebra", "Refund Request"})), Ticket("2", "b", frozenset({"Ape"}))]
    )
    assert found.names == ("Refund Request", "Ape", "Zebra")
    assert found.labels[0] == support_taxonomy().labels[support_taxonomy().names.index("Refund Request")]


def test_a_taxonomy_may_hold_a_label_that_no_ticket_has(tickets: list[Ticket]) -> None:
    taxonomy = Taxonomy((*(Label(name) for name in tiny.LABELS), Label("Praise")))
    found = train(tickets, LINEAR, taxonomy=taxonomy)
    assert found.model.taxonomy == taxonomy
    assert found.report.per_label["Praise"].support == 0
    assert all("Praise" not in prediction.labels for prediction in found.model.predict(["card charged"]))


def test_calibration_brings_scores_nearer_to_the_truth(trained: Trained) -> None:
    assert trained.report.brier is not None
    assert trained.report.brier <= trained.brier_raw + 0.01


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param([Ticket(str(n), f"word {n}") for n in range(50)], "too_few", id="no labels"),
        pytest.param([Ticket(str(n), f"word {n}", frozenset("A")) for n in range(9)], "too_few", id="nine tickets"),
        pytest.param([Ticket(str(n), "alike", frozenset("AB"[n % 2])) for n in range(50)], "too_few", id="one text"),
        pytest.param([Ticket(str(n), f"w {n}", frozenset("A")) for n in range(50)], "too_few", id="one class"),
        pytest.param([Ticket(str(n), f"w {n}", frozenset()) for n in range(50)], "too_few", id="no class"),
        pytest.param([Ticket("x7", "\u200b", frozenset("A"))], "empty_text", id="no text"),
    ],
)
def test_f28_what_teaches_nothing_is_refused(given: list[Ticket], code: str) -> None:
    with pytest.raises(InputError) as caught:
        train(given, LINEAR)
    assert caught.value.code == code


def test_what_is_wrong_with_other_files_is_told_before_the_training(
    tickets: list[Ticket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagdesk.train.fit_scorer", None)  # would end in a TypeError
    stranger = [Ticket("1", "hello", frozenset({"Unheard Of"}))]
    with pytest.raises(InputError, match="Unheard Of"):
        train(tickets, LINEAR, test=stranger)
    with pytest.raises(InputError, match="Unheard Of"):
        train(tickets, LINEAR, validation=stranger)
    for part in ("test", "validation"):
        with pytest.raises(InputError, match=f"None of the 1 {part} tickets"):
            train(tickets, LINEAR, **{part: [Ticket("1", "hello")]})  # type: ignore[arg-type] # the names of two lists


def test_a_customers_tickets_stay_in_one_fold(tickets: list[Ticket]) -> None:
    assert train(tickets, replace(LINEAR, fold_by="unit")).report.n == len(tickets)
    with pytest.raises(InputError):
        train([replace(ticket, unit=None) for ticket in tickets], replace(LINEAR, fold_by="unit"))


def test_a_trained_model_predicts_the_same_after_saving(trained: Trained, tmp_path: Path) -> None:
    saved = trained.model.save(tmp_path)
    texts = ["card charged twice", "hello"]
    assert Model.load(tmp_path / saved.id).judge(texts).probs.tolist() == trained.model.judge(texts).probs.tolist()
