from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tagdesk.case import Case
from tagdesk.experiment.assignment import unit_of, variants_of
from tagdesk.experiment.decision import Action
from tagdesk.experiment.definition import Experiment, Variant
from tagdesk.experiment.design import Arm, Design
from tagdesk.outcome import Outcome
from tagdesk.prediction import Decision, Prediction
from tagdesk.results import shadow_standing, standing
from tagdesk.review import Review
from tagdesk.store import Picked, Selection, Shadow, Store

START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SHOP = Selection("shop")
A, B = frozenset({"A"}), frozenset({"B"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "tagdesk.db") as opened:
        yield opened


def design(**changes: object) -> Design:
    halves = (Variant("current", 0.5), Variant("warmer", 0.5))
    made = Design(Experiment("warm", halves), {"current": Arm("m1"), "warmer": Arm("m2")}, planned=400)
    return replace(made, **changes).started(START)


def said(labels: frozenset[str], model: str = "m1") -> Prediction:
    names = sorted(labels)
    scores = {name: 0.9 if name in labels else 0.1 for name in ("A", "B")}
    decisions = {name: Decision.SUGGEST if name in labels else Decision.NONE for name in ("A", "B")}
    return Prediction("text", tuple(names), scores, decisions, model, "p")


def lived(store: Store, one: Design, customers: int, wrong: dict[str, float], reviewed: float = 1) -> None:
    """Customers that come over ten days, each once; every ticket deserves A, and each variant errs at its rate."""
    chance = np.random.default_rng(0)
    units = [unit_of(one.experiment, f"c-{n}", "") for n in range(customers)]
    names = list(one.arms)
    cases, reviews = [], []
    for n, number in enumerate(variants_of(one.experiment, units).tolist()):
        variant = names[number]
        labels = B if chance.random() < wrong[variant] else A
        time = START + DAY * 10 * n / customers
        cases.append(Case(f"k{n}", "shop", time, said(labels), unit=f"c-{n}", variant=one.mark(variant)))
        if chance.random() < reviewed:
            reviews.append(Review(f"k{n}", A, "ada", time + timedelta(hours=1)))
    store.cases.add(cases)
    store.reviews.add(reviews, tenant="shop")


def test_a_challenger_that_is_better_is_to_be_promoted_and_says_by_how_much(store: Store) -> None:
    one = design()
    lived(store, one, 1200, {"current": 0.4, "warmer": 0.1})
    found = standing(store, one, now=START + DAY * 10)
    assert found.decision.action is Action.PROMOTE
    assert "'warmer' is better: exact match +" in found.decision.reason
    assert (found.day.today, found.day.planned) == (10, 30)
    assert sum(found.cases.values()) == 1200
    interval = found.looks[-1].interval
    assert interval is not None
    assert interval[0] < 0.3 < interval[1]


def test_one_that_is_worse_is_to_be_stopped(store: Store) -> None:
    one = design()
    lived(store, one, 1200, {"current": 0.1, "warmer": 0.4})
    assert standing(store, one, now=START + DAY * 10).decision.action is Action.STOP


def test_two_that_are_alike_go_on_and_no_look_finds_more_than_the_one_before(store: Store) -> None:
    one = design()
    lived(store, one, 600, {"current": 0.2, "warmer": 0.2})
    found = standing(store, one, now=START + DAY * 10)
    assert found.decision.action is Action.GO_ON
    assert len(found.looks) == 10
    ps = [look.p for look in found.looks if look.p is not None]
    assert ps == sorted(ps, reverse=True)


def test_a_broken_split_is_told_in_place_of_a_result(store: Store) -> None:
    one = design()
    lived(store, one, 800, {"current": 0.4, "warmer": 0.1})
    lost = [f"k{n}" for n in range(800)]
    extra = [
        Case(f"x{n}", "shop", START, said(A), unit=f"x-{n}", variant=one.mark("warmer")) for n in range(len(lost) // 2)
    ]
    store.cases.add(extra)
    found = standing(store, one, now=START + DAY * 10)
    assert found.decision.action is Action.MEND
    assert found.decision.primary is None


def test_nothing_known_is_nothing_found(store: Store) -> None:
    one = design()
    empty = standing(store, one, now=START + DAY)
    assert empty.decision.action is Action.GO_ON
    lived(store, one, 200, {"current": 0.4, "warmer": 0.1}, reviewed=0)
    found = standing(store, one, now=START + DAY * 10)
    assert found.decision.action is Action.GO_ON
    assert found.outcomes == {"current": 0, "warmer": 0}


def test_where_random_checks_were_asked_for_they_count_alone(store: Store) -> None:
    one = design()
    lived(store, one, 1200, {"current": 0.2, "warmer": 0.2})
    everybody = [case.id for case in store.cases.page(SHOP, limit=1000)]
    asked = [Picked(id_, START, "random check", 0.2, is_audit=True) for id_ in everybody[::4]]
    store.picks.add([*asked, *(Picked(id_, START, "doubt", 0.2, is_audit=False) for id_ in everybody[1::4])])
    found = standing(store, one, now=START + DAY * 10)
    assert found.is_weighted
    assert found.reviews is None
    assert found.looks[-1].units < 250


def test_reviews_that_favour_one_variant_are_told(store: Store) -> None:
    one = design()
    lived(store, one, 1200, {"current": 0.4, "warmer": 0.1}, reviewed=0)
    cases = store.cases.page(SHOP, limit=1000)
    some = [case for case in cases if case.variant == "warm:warmer" or int(case.id[1:]) % 3 == 0]
    store.reviews.add([Review(case.id, A, "ada", START + DAY) for case in some], tenant="shop")
    found = standing(store, one, now=START + DAY * 10)
    assert found.reviews is not None
    assert found.reviews.differs
    assert found.decision.action is Action.GO_ON


def test_an_outcome_can_decide_and_less_of_it_be_better(store: Store) -> None:
    one = design(figure="minutes", lower_is_better=True)
    lived(store, one, 600, {"current": 0.2, "warmer": 0.2})
    chance = np.random.default_rng(0)
    told = [
        Outcome(case.id, "minutes", chance.normal(30 if case.variant == "warm:current" else 20, 8), START)
        for case in store.cases.page(SHOP, limit=1000)
    ]
    store.outcomes.add(told, tenant="shop")
    found = standing(store, one, now=START + DAY * 10)
    assert found.decision.reason.startswith("'warmer' is better: minutes -")
    assert found.looks[-1].value == pytest.approx(-10, abs=2)
    assert found.reviews is None


def test_what_is_known_later_belongs_to_a_later_look(store: Store) -> None:
    one = design()
    lived(store, one, 400, {"current": 0.4, "warmer": 0.1}, reviewed=0)
    cases = store.cases.page(SHOP, limit=1000)
    store.reviews.add([Review(case.id, A, "ada", START + DAY * 8.5) for case in cases], tenant="shop")
    found = standing(store, one, now=START + DAY * 10)
    assert [look.units > 0 for look in found.looks] == [False] * 8 + [True] * 2


def test_a_shadow_is_held_against_what_was_answered(store: Store) -> None:
    one = design()
    cases = [Case(f"k{n}", "shop", START, said(B if n < 4 else A)) for n in range(10)]
    store.cases.add(cases)
    store.shadows.add([Shadow(f"k{n}", "warm:warmer", START, said(B if n == 9 else A, "m2")) for n in range(10)])
    store.reviews.add([Review(f"k{n}", A, "ada", START) for n in range(8)], tenant="shop")
    found = shadow_standing(store, one)
    assert (found.cases, found.same, found.reviewed) == (10, 5, 8)
    assert (found.current_right, found.shadow_right) == (4, 8)
    assert (found.swaps.only_current, found.swaps.only_challenger) == (0, 4)
    assert "asked about 10 cases" in found.sentence
