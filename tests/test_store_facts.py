"""Cases and reviews as values."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tagdesk.case import sortable_id
from tagdesk.review import agreed, is_contradictory, standing
from test_store_fixtures import NOW, case, review


def test_id_of_a_later_millisecond_sorts_after_an_earlier_one_whatever_chance_says():
    early, late = sortable_id(NOW, b"\xff" * 10), sortable_id(NOW + timedelta(milliseconds=1), bytes(10))
    assert early < late


def test_ids_of_one_moment_differ_by_chance_alone():
    assert sortable_id(NOW, b"0123456789") != sortable_id(NOW, b"0123456788")
    assert sortable_id(NOW, b"0123456789") == sortable_id(NOW, b"0123456789")


def test_id_is_a_uuid_of_version_7():
    id_ = sortable_id(NOW, b"\xff" * 10)
    assert (len(id_), id_[14], id_[19]) == (36, "7", "b")


def test_id_asks_for_ten_random_bytes():
    with pytest.raises(ValueError, match="3 random bytes; expected 10"):
        sortable_id(NOW, b"abc")


def test_case_as_json_holds_ids_and_what_was_said():
    document = case(labels=("A",)).to_dict()
    assert (document["id"], document["tenant"], document["labels"]) == ("c1", "shop", ["A"])
    assert document["time"] == "2026-05-01T12:00:00+00:00"


def test_review_says_the_same_whenever_and_under_whatever_key():
    assert review("c1", "A").says_the_same_as(review("c1", "A", key="k", time=NOW + timedelta(days=1)))
    assert not review("c1", "A").says_the_same_as(review("c1", "B"))


def test_reviewers_last_word_stands():
    reviews = [review("c1", "A"), review("c1", "B", reviewer="bob"), review("c1", "B")]
    assert [(found.reviewer, found.labels) for found in standing(reviews)] == [("bob", {"B"}), ("ada", {"B"})]
    assert agreed(reviews) == {"B"}


def test_contradiction_has_no_labels_until_a_reviewer_gives_way():
    contradiction = [review("c1", "A"), review("c1", "B", reviewer="bob")]
    assert is_contradictory(contradiction)
    assert agreed(contradiction) is None
    assert agreed([*contradiction, review("c1", "A", reviewer="bob")]) == {"A"}


def test_contradiction_has_no_labels_until_somebody_settles_it():
    contradiction = [review("c1", "A"), review("c1", "B", reviewer="bob")]
    settled = [*contradiction, review("c1", "C", reviewer="eve", settles=True)]
    assert not is_contradictory(settled)
    assert agreed(settled) == {"C"}
    assert is_contradictory([*settled, review("c1", "A")])


def test_no_review_is_no_contradiction_and_no_label_is_a_finding():
    assert agreed([]) is None
    assert not is_contradictory([])
    assert agreed([review("c1")]) == frozenset()


def test_text_that_was_forgotten_is_said_to_be_missing():
    assert case().has_text
    assert not replace(case(text="")).has_text
