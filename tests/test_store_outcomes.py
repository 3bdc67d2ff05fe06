from __future__ import annotations

import math

import pytest

from tagdesk.outcome import Outcome
from tagdesk.store import Picked, Receipt, Selection, Shadow, Store
from test_store_fixtures import HOUR, NOW, SAID, case

pytest_plugins = ["test_store_fixtures"]


def minutes(value: float, of: str = "c1", key: str | None = None) -> Outcome:
    return Outcome(of, "minutes", value, NOW, key)


def test_the_last_outcome_of_a_name_counts(store: Store) -> None:
    store.cases.add([case("c1"), case("c2")])
    told = [minutes(12.5), Outcome("c1", "reopened", 1, NOW), minutes(14)]
    assert store.outcomes.add(told, tenant="shop") == [Receipt.ADDED] * 3
    assert store.outcomes.of_cases(["c2", "c1"], tenant="shop") == [{}, {"minutes": 14, "reopened": 1}]


def test_an_outcome_with_a_key_counts_once_and_the_key_stands_for_it_alone(store: Store) -> None:
    store.cases.add([case()])
    assert store.outcomes.add([minutes(12, key="k")], tenant="shop") == [Receipt.ADDED]
    assert store.outcomes.add([minutes(12, key="k")], tenant="shop") == [Receipt.REPEATED]
    assert store.outcomes.add([minutes(13, key="k")], tenant="shop") == [Receipt.KEY_REUSED]
    assert store.outcomes.of_cases(["c1"], tenant="shop") == [{"minutes": 12}]


def test_outcomes_of_cases_that_are_not_the_tenants_are_neither_kept_nor_shown(store: Store) -> None:
    store.cases.add([case()])
    assert store.outcomes.add([minutes(1, of="nothing")], tenant="shop") == [Receipt.UNKNOWN_CASE]
    assert store.outcomes.add([minutes(1)], tenant="other") == [Receipt.UNKNOWN_CASE]
    assert store.outcomes.add([minutes(1)], tenant="shop") == [Receipt.ADDED]
    assert store.outcomes.of_cases(["c1"], tenant="other") == [{}]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_outcome_is_a_finite_number(store: Store, value: float) -> None:
    store.cases.add([case()])
    with pytest.raises(ValueError, match="finite"):
        store.outcomes.add([minutes(value)], tenant="shop")


def test_a_shadow_is_kept_once_without_its_text(store: Store) -> None:
    store.cases.add([case()])
    one = Shadow("c1", "quiet:next", NOW, SAID)
    gone = Shadow("gone", "quiet:next", NOW, SAID)
    assert store.shadows.add([one, gone]) == 1
    assert store.shadows.add([one]) == 0
    ((number, found),) = store.shadows.page("quiet:next")
    assert (found.case, found.prediction.text, found.prediction.scores) == ("c1", "", SAID.scores)
    assert found.prediction.decisions == SAID.decisions
    assert store.shadows.page("quiet:next", after=number) == []
    assert store.shadows.page("loud:next") == []


def test_the_first_pick_of_a_case_counts(store: Store) -> None:
    store.cases.add([case("c1"), case("c2")])
    first = Picked("c1", NOW, "random check", 0.25, is_audit=True)
    later = Picked("c1", NOW + HOUR, "close call", 1.0, is_audit=False)
    assert store.picks.add([first, Picked("gone", NOW, "close call", 1.0, is_audit=False)]) == 1
    assert store.picks.add([later]) == 0
    assert store.picks.of_cases(["c2", "c1"]) == [None, first]
    with pytest.raises(ValueError, match="Probability"):
        store.picks.add([Picked("c2", NOW, "close call", 0.0, is_audit=False)])


def test_what_derives_from_a_case_is_erased_with_it(store: Store) -> None:
    store.cases.add([case("c1", unit="u1"), case("c2", unit="u2")])
    for id_ in ("c1", "c2"):
        store.outcomes.add([minutes(3, of=id_)], tenant="shop")
        store.shadows.add([Shadow(id_, "quiet:next", NOW, SAID)])
        store.picks.add([Picked(id_, NOW, "random check", 0.5, is_audit=True)])
    store.erase(Selection("shop", unit="u1"), who="ada", now=NOW)
    assert store.outcomes.of_cases(["c1", "c2"], tenant=None) == [{}, {"minutes": 3}]
    assert [one.case for _, one in store.shadows.page("quiet:next")] == ["c2"]
    assert [one is None for one in store.picks.of_cases(["c1", "c2"])] == [True, False]
