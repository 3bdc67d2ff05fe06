from __future__ import annotations

import pytest

from tagdesk.scorers.transformer.hurry import hurried

TEXTS = [f"Where is my parcel number {n}, please? It was promised for Tuesday." for n in range(400)]


def test_about_the_wanted_share_of_texts_is_changed() -> None:
    changed = sum(before != after for before, after in zip(TEXTS, hurried(TEXTS, 0.5, seed=1), strict=True))
    assert 150 < changed < 250
    assert hurried(TEXTS, 0.0, seed=1) == TEXTS


def test_the_same_seed_gives_the_same_slips_and_another_gives_others() -> None:
    assert hurried(TEXTS, 0.5, seed=1) == hurried(TEXTS, 0.5, seed=1)
    assert hurried(TEXTS, 0.5, seed=1) != hurried(TEXTS, 0.5, seed=2)


@pytest.mark.parametrize("text", ["?", "!!!", "a", "😂", "...", "@", "é"])
def test_no_text_becomes_empty(text: str) -> None:
    assert all(after.strip() for seed in range(30) for after in hurried([text], 1.0, seed))


def test_slips_leave_most_letters_in_place() -> None:
    for before, after in zip(TEXTS, hurried(TEXTS, 1.0, seed=3), strict=True):
        assert abs(len(before) - len(after)) <= 5
        assert len(set(before.lower().split()) & set(after.lower().split())) >= 5
