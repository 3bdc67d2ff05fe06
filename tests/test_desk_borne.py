from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tagdesk.case import Case, sortable_id
from tagdesk.connectors import Access, HelpDesk, connector
from tagdesk.connectors.sites import Site
from tagdesk.desk.borne import LONGEST_WRITE, Borne, Writings
from tagdesk.prediction import Decision, Prediction
from tagdesk.review import Review, Source
from tagdesk.store import Conflict, Store

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
A, B, C = (frozenset({name}) for name in "ABC")
KNOWN = A | B | C
SITE = Site("acme", HelpDesk(connector("zendesk"), Access("http://127.0.0.1:1", "t")), "s")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "tagdesk.db") as opened:
        yield opened


@pytest.fixture
def writings(store: Store) -> Writings:
    return Writings(store, SITE, lambda: NOW)


def case(store: Store, minute: int, labels: str, source: str = "acme") -> Case:
    time = NOW - timedelta(minutes=60 - minute)
    said = Prediction(
        "hi",
        tuple(labels),
        dict.fromkeys("ABC", 0.5),
        {name: Decision.SUGGEST if name in labels else Decision.NONE for name in "ABC"},
        "m",
        "p",
    )
    made = Case(sortable_id(time, bytes(10)), "default", time, said, ticket="7", source=source)
    store.cases.add([made])
    return made


def correct(store: Store, corrected: Case, labels: frozenset[str], source: Source = Source.HELP_DESK) -> None:
    store.reviews.add([Review(corrected.id, labels, "agent", NOW, source=source)], tenant="default")


def test_nothing_is_known_of_a_ticket_that_nobody_labelled(writings: Writings) -> None:
    assert writings.borne("7", KNOWN) == Borne(frozenset(), frozenset())


def test_what_is_not_written_yet_may_be_there_or_not(store: Store, writings: Writings) -> None:
    made = case(store, 1, "AB")
    assert writings.borne("7", KNOWN) == Borne(frozenset(), A | B)
    assert writings.claim(made)  # now somebody writes
    assert writings.borne("7", KNOWN) == Borne(frozenset(), A | B)
    with pytest.raises(Conflict):
        writings.claim(made)
    writings.keep(made, A | B)
    assert writings.borne("7", KNOWN) == Borne(A | B, A | B)
    assert not writings.claim(made)


def test_asking_takes_a_write_back_from_nobody(store: Store, writings: Writings) -> None:
    made = case(store, 1, "A")
    writings.borne("7", KNOWN)
    assert writings.claim(made)


def test_tags_add_up_until_an_agent_corrects_them(store: Store, writings: Writings) -> None:
    for minute, label in enumerate("AB"):
        made = case(store, minute, label)
        assert writings.claim(made)
        writings.keep(made, frozenset(label))
    assert writings.borne("7", KNOWN) == Borne(A | B, A | B)
    correct(store, made, C)
    assert writings.borne("7", KNOWN) == Borne(C, C)
    pending = case(store, 10, "A")
    assert writings.borne("7", KNOWN) == Borne(C, A | C)
    assert writings.is_corrected(made)
    assert not writings.is_corrected(pending)


def test_a_correction_of_a_later_case_holds_for_the_earlier_ones(store: Store, writings: Writings) -> None:
    first, second = case(store, 1, "A"), case(store, 2, "B")
    correct(store, second, frozenset())
    assert writings.is_corrected(first)
    assert writings.borne("7", KNOWN) == Borne(frozenset(), frozenset())


def test_only_what_agents_did_at_the_help_desk_says_what_a_ticket_bears(store: Store, writings: Writings) -> None:
    made = case(store, 1, "A")
    assert writings.claim(made)
    writings.keep(made, A)
    correct(store, made, B, Source.PERSON)
    case(store, 2, "C", source="another")
    assert writings.borne("7", KNOWN) == Borne(A, A)


def test_labels_that_the_model_does_not_know_any_more_are_not_asked_for(store: Store, writings: Writings) -> None:
    made = case(store, 1, "AB")
    assert writings.claim(made)
    writings.keep(made, A | B)
    assert writings.borne("7", B | C) == Borne(B, B)


def test_a_write_back_that_nobody_ends_is_free_again(store: Store) -> None:
    made = case(store, 1, "A")
    assert Writings(store, SITE, lambda: NOW).claim(made)
    assert Writings(store, SITE, lambda: NOW + LONGEST_WRITE).claim(made)


def test_two_help_desks_with_the_same_number_of_a_ticket_do_not_mix(store: Store, writings: Writings) -> None:
    made = case(store, 1, "A", source="other")
    other = Writings(store, replace(SITE, name="other"), lambda: NOW)
    assert other.claim(made)
    other.keep(made, A)
    assert other.borne("7", KNOWN) == Borne(A, A)
    assert writings.borne("7", KNOWN) == Borne(frozenset(), frozenset())
