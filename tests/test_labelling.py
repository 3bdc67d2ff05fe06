from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import tiny
from tagdesk.arrays import Embeddings
from tagdesk.case import Case
from tagdesk.errors import UsageError
from tagdesk.labelling import Kind, State, Waiting, disputed, in_own_order, keep, seen_once, state_of, waiting
from tagdesk.labelling.accord import accord
from tagdesk.labelling.choosing import SECOND
from tagdesk.model import Model
from tagdesk.prediction import Decision, Prediction
from tagdesk.review import Review
from tagdesk.scorers import Scorer
from tagdesk.store import Receipt, Selection, Store

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ACCESS, BILLING, SHIPPING = tiny.LABELS


def case(id_: str, text: str = "", *labels: str, minute: int = 0, tenant: str = "shop", **scores: float) -> Case:
    """A case of which the model was sure, unless `scores` (access, billing, shipping) say otherwise."""
    names = dict(zip(("access", "billing", "shipping"), tiny.LABELS, strict=True))
    said = dict.fromkeys(tiny.LABELS, 0.02) | dict.fromkeys(labels, 0.98)
    said |= {names[name]: score for name, score in scores.items()}
    decisions = {name: Decision.SUGGEST if name in labels else Decision.NONE for name in said}
    prediction = Prediction(text or f"text of {id_}", labels, said, decisions, "m1", "p1")
    return Case(id_, tenant, NOW + timedelta(minutes=minute), prediction)


def found(of: str, reviewer: str, *labels: str, settles: bool = False) -> Review:
    return Review(of, frozenset(labels), reviewer, NOW, settles=settles)


def one_of(case: Case, kind: Kind = Kind.NEW, **changes: object) -> Waiting:
    return replace(Waiting(case, case.prediction.labels, "random check", kind), **changes)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "tagdesk.db") as opened:
        yield opened


@pytest.fixture
def model(models: dict[str, Model]) -> Model:
    return models["linear"]


def ids(batch: Sequence[Waiting]) -> list[str]:
    return [one.case.id for one in batch]


def test_what_nobody_has_reviewed_waits_while_its_text_is_kept(store: Store, model: Model) -> None:
    forgotten = replace(case("k3"), prediction=replace(case("k3").prediction, text=""))
    store.cases.add([case("k1"), case("k2"), forgotten, case("b1", tenant="bank")])
    store.reviews.add([found("k2", "ada", BILLING)], tenant="shop")
    assert set(ids(waiting(store, model, 9))) == {"k1", "b1"}
    assert ids(waiting(store, model, 9, tenant="shop")) == ["k1"]
    assert waiting(store, model, 9, tenant="nobody") == []
    assert waiting(store, model, 0) == []


def test_doubtful_cases_come_before_clear_ones_with_the_reason(store: Store, model: Model) -> None:
    sure = [case(f"s{n}", f"{n} parcels of {n} boxes", SHIPPING) for n in range(9)]
    store.cases.add([*sure, case("doubt", "charged or locked", billing=0.49)])
    chosen = [waiting(store, model, 1, strategy="margin", seed=seed)[0] for seed in range(20)]
    doubtful = [one for one in chosen if not one.is_audit]
    assert len(doubtful) > 10
    assert {one.case.id for one in doubtful} == {"doubt"}
    assert all(BILLING in one.reason for one in doubtful)
    assert all(one.suggested == one.case.prediction.labels for one in chosen)


def test_random_checks_carry_the_probability_with_which_they_were_drawn(store: Store, model: Model) -> None:
    store.cases.add([case(f"k{n}", f"w{n} x{n} y{n} z{n}", billing=n / 50) for n in range(40)])
    batch = waiting(store, model, 10, seed=3)
    assert len(batch) == 10
    assert sum(one.is_audit for one in batch) == 2
    assert {one.probability for one in batch} == {10 * 0.2 / 40}


def test_near_duplicates_are_asked_once_and_counted(store: Store, model: Model) -> None:
    store.cases.add([case(f"k{n}", "the very same words again and again", billing=0.5) for n in range(8)])
    batch = [one for seed in range(5) for one in waiting(store, model, 1, seed=seed)]
    assert len(batch) == 5
    assert all(one.likes == 7 for one in batch)
    assert all("7 more like it" in one.reason for one in batch)


def test_a_case_that_lacks_a_label_of_the_model_is_judged_by_it(store: Store, model: Model) -> None:
    old = replace(case("old", "my parcel is lost"), prediction=replace(case("old").prediction, scores={BILLING: 0.9}))
    blind = replace(case("blind"), prediction=replace(case("blind").prediction, text="\u200b", scores={}))
    store.cases.add([old, blind, case("new")])
    batch = waiting(store, model, 3, strategy="margin")
    assert set(ids(batch)) == {"old", "blind", "new"}


def test_cases_behind_reviewed_ones_are_found(store: Store, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagdesk.labelling.choosing.LOOKS_AT", 2)
    store.cases.add([case(f"k{n}", f"text number {n}", minute=n) for n in range(7)])
    store.reviews.add([found(f"k{n}", "ada", BILLING) for n in range(2, 7)], tenant="shop")
    assert set(ids(waiting(store, model, 9))) == {"k0", "k1"}


def test_only_so_many_cases_are_read(store: Store, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagdesk.labelling.choosing.LOOKS_AT", 2)
    monkeypatch.setattr("tagdesk.labelling.choosing.MOST_READ", 4)
    store.cases.add([case(f"k{n}", minute=n) for n in range(7)])
    store.reviews.add([found(f"k{n}", "ada") for n in range(1, 7)], tenant="shop")
    assert waiting(store, model, 9) == []


def test_an_unknown_strategy_is_refused(store: Store, model: Model) -> None:
    store.cases.add([case("k1")])
    with pytest.raises(UsageError, match="expected one of"):
        waiting(store, model, 1, strategy="guess")


@dataclass(frozen=True)
class Embedding:
    """A scorer whose encoder finds all texts alike."""

    inner: Scorer

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def embed(self, texts: Sequence[str]) -> Embeddings:
        return np.tile(np.array([[3.0, 4.0]], dtype=np.float32), (len(texts), 1))


def test_an_encoder_that_gives_vectors_keeps_batches_diverse(store: Store, model: Model) -> None:
    seeing = replace(model, scorer=Embedding(model.scorer))
    store.cases.add([case(f"k{n}", f"w{n} x{n} y{n}", billing=0.5) for n in range(10)])
    told: list[tuple[str, float, float]] = []
    batch = waiting(store, seeing, 10, progress=lambda *step: told.append(step))
    assert len(waiting(store, model, 10)) == 10
    assert len([one for one in batch if not one.is_audit]) <= 1  # all are like the first
    assert told == [("texts", 0, 10), ("texts", 10, 10)]
    assert len(waiting(store, seeing, 10, only_logged=True)) == 10


def test_a_second_person_sees_what_one_other_has_labelled_and_not_the_labels(store: Store) -> None:
    store.cases.add([case(f"k{n}", minute=n) for n in range(6)])
    forgotten = replace(case("k9"), prediction=replace(case("k9").prediction, text=""))
    store.cases.add([forgotten])
    reviews = [found(f"k{n}", "ada", BILLING) for n in range(4)]
    store.reviews.add([*reviews, found("k3", "cyd", BILLING), found("k4", "bob", BILLING)], tenant="shop")
    batch = seen_once(store, 9, "bob")
    assert set(ids(batch)) == {"k0", "k1", "k2"}
    assert {(one.kind, one.reason) for one in batch} == {(Kind.AGAIN, SECOND)}
    assert not any(one.found for one in batch)
    assert ids(seen_once(store, 2, "bob", seed=7)) == ids(seen_once(store, 3, "bob", seed=7))[:2]
    assert len({tuple(ids(seen_once(store, 3, "bob", seed=seed))) for seed in range(9)}) > 1
    assert set(ids(seen_once(store, 9, "ada"))) == {"k4"}


def test_contradictions_are_told_with_who_said_what(store: Store) -> None:
    store.cases.add([case("k1"), case("k2"), case("k3")])
    store.reviews.add(
        [
            *(found("k1", "ada", BILLING), found("k1", "bob", SHIPPING)),
            *(found("k2", "ada", BILLING), found("k2", "bob"), found("k2", "cyd", BILLING, settles=True)),
            *(found("k3", "ada", BILLING), found("k3", "bob", BILLING)),
        ],
        tenant="shop",
    )
    (one,) = disputed(store, 9)
    assert (one.case.id, one.kind) == ("k1", Kind.DISPUTED)
    assert one.found == {"ada": {BILLING}, "bob": {SHIPPING}}
    assert one.reason == f"reviewers differ on {BILLING}, {SHIPPING}"
    assert disputed(store, 0) == []
    assert disputed(store, 9, tenant="bank") == []


def test_two_people_get_the_same_batch_in_different_orders() -> None:
    batch = [one_of(case(f"k{n}")) for n in range(40)]
    again = [one_of(case(f"a{n}"), Kind.AGAIN) for n in range(10)]
    orders = [ids(in_own_order(batch, again, seed)) for seed in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(ids([*batch, *again]))
    assert sum(left == right for left, right in zip(*orders, strict=True)) < 25
    for order in orders:
        assert all(sum(id_.startswith("a") for id_ in order[at : at + 10]) == 2 for at in range(0, 50, 10))
        assert all(int(id_[1:]) < 8 for id_ in order[:10] if id_.startswith("k"))
    assert in_own_order([], [], 0) == []


def test_a_review_is_kept_with_how_the_case_was_chosen(store: Store) -> None:
    store.cases.add([case("k1"), case("k2")])
    drawn = one_of(case("k1"), is_audit=True, probability=0.05)
    assert keep(store, drawn, frozenset({BILLING}), "ada", NOW) is Receipt.ADDED
    assert keep(store, one_of(case("k2")), frozenset(), "ada", NOW) is Receipt.ADDED
    first, second = store.picks.of_cases(["k1", "k2"])
    assert first is not None
    assert (first.is_audit, first.probability, second) == (True, 0.05, None)
    (kept,) = store.reviews.newest(["k1"], tenant="shop")
    assert kept is not None
    assert (kept.labels, kept.reviewer, kept.settles) == ({BILLING}, "ada", False)


def test_saving_again_adds_a_newer_review_only_where_it_says_something_else(store: Store) -> None:
    store.cases.add([case("k1")])
    one = one_of(case("k1"), probability=0.1)
    said = [keep(store, one, frozenset(labels), "ada", NOW) for labels in ({BILLING}, {BILLING}, {ACCESS}, {BILLING})]
    assert said == [Receipt.ADDED, Receipt.REPEATED, Receipt.ADDED, Receipt.ADDED]
    (reviews,) = store.reviews.of_cases(["k1"], tenant="shop")
    assert [set(review.labels) for review in reviews] == [{BILLING}, {ACCESS}, {BILLING}]


def test_a_review_of_a_contradiction_settles_it(store: Store) -> None:
    store.cases.add([case("k1")])
    store.reviews.add([found("k1", "ada", BILLING), found("k1", "bob")], tenant="shop")
    (one,) = disputed(store, 1)
    assert state_of(store, one, "cyd") is State.WAITS
    keep(store, one, frozenset({SHIPPING}), "cyd", NOW)
    assert state_of(store, one, "cyd") is State.DONE
    (reviewed,) = store.reviews.reviewed(Selection("shop"))
    assert reviewed.labels == {SHIPPING}


def test_what_was_erased_meanwhile_is_not_kept(store: Store) -> None:
    store.cases.add([case("k1")])
    one = one_of(case("k1"), probability=0.1)
    store.erase(Selection("shop", case="k1"), who="ada", now=NOW)
    assert state_of(store, one, "ada") is State.GONE
    assert keep(store, one, frozenset(), "ada", NOW) is Receipt.UNKNOWN_CASE
    store.cases.add([case("k2")])
    store.retain(0, who="ada", now=NOW + timedelta(days=1))
    assert state_of(store, one_of(case("k2")), "ada") is State.GONE
    assert keep(store, one_of(case("k2")), frozenset(), "ada", NOW) is Receipt.UNKNOWN_CASE


def test_a_case_waits_until_somebody_else_was_quicker(store: Store) -> None:
    store.cases.add([case("k1")])
    new, again = one_of(case("k1")), one_of(case("k1"), Kind.AGAIN)
    assert state_of(store, new, "bob") is State.WAITS
    store.reviews.add([found("k1", "ada", BILLING)], tenant="shop")
    assert state_of(store, new, "bob") is State.DONE
    assert state_of(store, again, "bob") is State.WAITS
    assert state_of(store, again, "ada") is State.DONE
    store.reviews.add([found("k1", "cyd", BILLING)], tenant="shop")
    assert state_of(store, again, "bob") is State.DONE


def test_agreement_is_measured_on_what_people_found_by_themselves(store: Store) -> None:
    store.cases.add([case(f"k{n}") for n in range(5)])
    ada = [found("k0", "ada", BILLING), found("k1", "ada", BILLING), found("k2", "ada"), found("k3", "ada")]
    bob = [found("k0", "bob", BILLING), found("k1", "bob"), found("k2", "bob"), found("k3", "bob", SHIPPING)]
    store.reviews.add([*ada, *bob, found("k4", "ada", BILLING)], tenant="shop")
    store.reviews.add([found("k1", "cyd", BILLING, settles=True)], tenant="shop")
    result = accord(store)
    assert (result.twice, result.unsettled) == (4, 1)
    (pair,) = result.pairs
    assert (pair.first, pair.second, pair.cases, pair.same) == ("ada", "bob", 4, 0.5)
    (labels,) = result.labels
    by_name = {one.label: one for one in labels}
    billing = by_name[BILLING]
    assert (billing.both, billing.first, billing.second) == (1, 1, 0)
    assert billing.alpha == pytest.approx(1 - 7 * 2 / (3 * 5 * 2))  # 3 of 8 codes say yes, 1 pair of 4 differs
    assert set(by_name) == {BILLING, SHIPPING}
    assert result.to_dict()["pairs"][0]["labels"][SHIPPING]["only"] == {"ada": 0, "bob": 1}
    assert accord(store, tenant="bank").pairs == ()


def test_two_people_who_found_no_label_agree(store: Store) -> None:
    store.cases.add([case("k1")])
    store.reviews.add([found("k1", "ada"), found("k1", "bob")], tenant="shop")
    result = accord(store)
    assert (result.pairs[0].same, result.pairs[0].alpha, result.labels) == (1.0, None, ((),))
