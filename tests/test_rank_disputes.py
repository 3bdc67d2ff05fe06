from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tagdesk.rank import agreed_share, agreement_by_label, disputes, judgements, reviewer_pairs
from tagdesk.review import Review

START = datetime(2026, 5, 1, tzinfo=UTC)


def case(name: str, *found: tuple[str, str], settled: tuple[str, str] | None = None) -> list[Review]:
    """Reviews of one case: who found which labels, a letter each; the last of all may settle it."""
    reviews = [
        Review(name, frozenset(labels), who, START + timedelta(minutes=minute))
        for minute, (who, labels) in enumerate(found)
    ]
    if settled is not None:
        reviews.append(Review(name, frozenset(settled[1]), settled[0], START + timedelta(hours=1), settles=True))
    return reviews


def test_only_open_contradictions_are_disputes() -> None:
    cases = [
        case("agreed", ("ada", "A"), ("bob", "A")),
        case("open", ("ada", "A"), ("bob", "AB")),
        case("settled", ("ada", "A"), ("bob", "B"), settled=("eve", "A")),
        case("changed her mind", ("ada", "B"), ("bob", "A"), ("ada", "A")),
        case("alone", ("ada", "A")),
        [],
    ]
    (found,) = disputes(cases)
    assert (found.case, found.at_odds, found.divided) == ("open", ("B",), 0.5)
    assert found.found == {"ada": frozenset("A"), "bob": frozenset("AB")}


def test_evenly_divided_reviewers_come_first_then_more_labels_at_odds() -> None:
    cases = [
        case("one against three", ("ada", "A"), ("bob", "A"), ("cyd", "A"), ("dan", "BCD")),
        case("even, one label", ("ada", "A"), ("bob", "AB")),
        case("even, two labels", ("ada", "A"), ("bob", "B")),
        case("even, one label, later", ("ada", ""), ("bob", "A")),
        case("all apart", ("ada", "A"), ("bob", "B"), ("cyd", "")),
    ]
    assert [found.case for found in disputes(cases)] == [
        "all apart",
        "even, two labels",
        "even, one label",
        "even, one label, later",
        "one against three",
    ]


def test_a_settled_case_still_shows_who_disagreed_but_not_with_who_settled_it() -> None:
    cases = [case("7", ("ada", "A"), ("bob", "B"), settled=("eve", "A"))]
    found = judgements(cases, ["A", "B"])
    assert found.reviewers == ("ada", "bob")
    (pair,) = reviewer_pairs(found)
    assert (pair.first, pair.second, pair.cases, pair.same) == ("ada", "bob", 1, 0)


def test_who_agrees_least_comes_first() -> None:
    cases = [
        case(str(number), ("ada", labels), ("bob", labels), ("cyd", "B")) for number, labels in enumerate("ABABAABB")
    ]
    pairs = reviewer_pairs(judgements(cases, ["A", "B"]))
    assert [(pair.first, pair.second) for pair in pairs] == [("ada", "cyd"), ("bob", "cyd"), ("ada", "bob")]
    assert (pairs[0].same, pairs[0].cases) == (0.5, 8)
    assert (pairs[2].same, pairs[2].alpha) == (1, 1)


def test_reviewers_without_a_common_case_make_no_pair() -> None:
    found = judgements([case("1", ("ada", "A")), case("2", ("bob", "A"))], ["A"])
    assert reviewer_pairs(found) == []


def test_agreement_is_told_label_by_label_and_gaps_are_no_disagreement() -> None:
    cases = [
        case("1", ("ada", "A"), ("bob", "A")),
        case("2", ("ada", ""), ("bob", "B")),
        case("3", ("ada", "A"), ("bob", "AB")),
        case("4", ("ada", ""), ("bob", "")),
        case("5", ("cyd", "B")),
    ]
    found = agreement_by_label(judgements(cases, ["A", "B", "C"]), ["A", "B", "C"])
    assert found["A"] == pytest.approx(1)
    assert found["B"] is not None
    assert found["B"] < 0
    assert found["C"] is None  # nobody ever gave it: chance would agree as well


def test_labels_that_the_taxonomy_no_longer_has_are_not_looked_at() -> None:
    found = judgements([case("1", ("ada", "AZ"))], ["A"])
    assert found.given.tolist() == [[[True]]]


def test_the_last_word_of_a_reviewer_counts() -> None:
    found = judgements([case("1", ("ada", "AB"), ("ada", "B"))], ["A", "B"])
    assert found.given.tolist() == [[[False, True]]]


def test_the_share_of_cases_that_are_agreed_on() -> None:
    cases = [
        case("1", ("ada", "A"), ("bob", "A")),
        case("2", ("ada", "A"), ("bob", "B")),
        case("3", ("ada", "A"), ("bob", "B"), settled=("eve", "B")),
        case("4", ("ada", "A")),
    ]
    assert agreed_share(cases) == pytest.approx(2 / 3)
    assert agreed_share([case("4", ("ada", "A"))]) is None
    assert agreed_share([]) is None


def test_no_case_at_all_is_no_special_case() -> None:
    found = judgements([], ["A"])
    assert found.given.shape == (0, 0, 1)
    assert agreement_by_label(found, ["A"]) == {"A": None}
    assert reviewer_pairs(found) == []
    assert disputes([]) == []
    assert np.asarray(found.judged).size == 0
