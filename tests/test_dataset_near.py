"""Near duplicates."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagdesk.dataset import near
from tagdesk.dataset.near import near_duplicate_groups, words


def by_comparing_all(texts: list[str]) -> list[int]:
    """The groups by the definition: every pair compared."""
    sets = [words(text) for text in texts]
    group = list(range(len(texts)))
    for right, one in enumerate(sets):
        for left in range(right):
            if len(one & sets[left]) / len(one | sets[left]) >= 0.8:
                old, new = group[right], group[left]
                group = [new if g == old else g for g in group]
    order = list(dict.fromkeys(group))
    return [order.index(g) for g in group]


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=9).map(" ".join), max_size=25))
def test_groups_are_those_of_the_definition(texts: list[str]) -> None:
    assert near_duplicate_groups(texts).tolist() == by_comparing_all(texts)


@pytest.mark.parametrize("length", [5, 30, 100])
def test_groups_are_those_of_the_definition_for_texts_of_any_length(length: int) -> None:
    rng = random.Random(length)  # noqa: S311 - examples, no secrets
    texts = []
    for _ in range(40):
        base = [f"w{rng.randrange(length * 3)}" for _ in range(length)]
        for changes in (0, length // 12, length // 8, length // 5):
            copy = base.copy()
            for place in rng.sample(range(length), changes):
                copy[place] = f"w{rng.randrange(length * 3)}"
            texts.append(" ".join(copy))
    groups = near_duplicate_groups(texts).tolist()
    assert groups == by_comparing_all(texts)
    assert 1 < len(set(groups)) < len(texts)


def test_case_signs_and_order_make_no_difference() -> None:
    assert near_duplicate_groups(["I was charged twice!", "Twice I was CHARGED", "I was charged"]).tolist() == [0, 0, 1]


def test_one_word_in_nine_makes_a_near_duplicate_and_one_in_eight_none() -> None:
    nine = "one two three four five six seven eight nine"
    assert near_duplicate_groups([nine, nine.replace("nine", "ten")]).tolist() == [0, 0]
    eight = "one two three four five six seven eight"
    assert near_duplicate_groups([eight, eight.replace("eight", "ten")]).tolist() == [0, 1]


def test_texts_without_words_or_blanks_are_compared_too() -> None:
    assert near_duplicate_groups(["???", "!!!", "???", ""]).tolist() == [0, 1, 0, 2]
    assert words("退款没有到账") == {"退款", "款没", "没有", "有到", "到账"}
    assert near_duplicate_groups([]).tolist() == []


def test_boilerplate_that_thousands_share_is_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "_CROWD", 30)
    texts = [f"please cancel my order {number} right now thank you very much" for number in range(500)]
    assert near_duplicate_groups(texts).max() == 0


def test_ten_thousand_equal_or_templated_texts_take_no_square_of_time() -> None:
    start = time.perf_counter()
    assert near_duplicate_groups(["I was charged twice"] * 10_000).max() == 0
    assert (
        near_duplicate_groups([f"please cancel my order {n} now thank you so much" for n in range(10_000)]).max() == 0
    )
    assert time.perf_counter() - start < 10


def test_groups_are_numbered_by_first_appearance() -> None:
    groups = near_duplicate_groups(["b c", "a", "b c", "x"])
    assert groups.tolist() == [0, 1, 0, 2]
    assert groups.dtype == np.int64
