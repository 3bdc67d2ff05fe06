"""What drift needs to know of texts."""

from __future__ import annotations

import numpy as np
import pytest

from tagdesk.drift.texts import NO_SCRIPT, Texts, read_texts


def are_same(*texts: str) -> bool:
    return len(set(read_texts(texts).keys.tolist())) == 1


def test_case_white_space_and_digits_do_not_tell_texts_apart() -> None:
    assert are_same("Order 12 is late", "order 4711 is  LATE\n", "order 0 is late")
    assert not are_same("Order 12 is late", "Order is late")
    assert not are_same("12", "1 2")


def test_keys_are_the_same_in_every_run() -> None:
    assert read_texts(["Order 12 is late"]).keys.tolist() == [read_texts(["x", "order 9 is late"]).keys[1]]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("hello", "Latin"),
        ("Grüße", "Latin"),
        ("мой заказ", "Cyrillic"),
        ("注文はどこですか", "CJK"),
        ("カード", "CJK"),
        ("اين طلبي", "Arabic"),
        ("हैलो", "Devanagari"),
        ("내 주문", "Hangul"),
        ("iPhone зарядка не работает", "Cyrillic"),
        ("12 !? \N{FACE WITH TEARS OF JOY}", NO_SCRIPT),
        ("42", NO_SCRIPT),
        ("", NO_SCRIPT),
    ],
)
def test_the_script_is_that_of_most_letters(text: str, script: str) -> None:
    assert read_texts([text]).scripts.tolist() == [script]


def test_of_equally_frequent_scripts_the_first_in_the_alphabet_counts() -> None:
    assert read_texts(["ab вг", "вг ab"]).scripts.tolist() == ["Cyrillic", "Cyrillic"]


def test_lengths_are_those_of_what_models_see() -> None:
    assert read_texts(["  a\n b ", ""]).lengths.tolist() == [3, 0]


def test_no_texts_are_no_facts() -> None:
    found = read_texts([])
    assert found.keys.shape == found.lengths.shape == found.scripts.shape == (0,)


def test_facts_of_different_numbers_of_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="tickets"):
        Texts(np.zeros(2, np.int64), np.zeros(3, np.int64), np.array(["Latin"] * 2))
