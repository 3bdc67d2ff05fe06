"""Misspells texts as people do who type in a hurry, so that a network learns to read them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

LOWERED, BARE = 0.3, 0.2  # shares of the hurried texts that lose their capitals, or their punctuation
ONE_IN = 25  # characters for each slip of the finger
_MARKS = re.compile(r"[^\w\s@#]")  # handles and hashtags keep theirs


def hurried(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """The texts, about `share` of them misspelled; the same seed gives the same slips, and no text becomes empty.

    >>> hurried(["Where is my parcel?"], 0.0, seed=0)
    ['Where is my parcel?']
    >>> hurried(["Where is my parcel?"], 1.0, seed=2)
    ['where is my parcel?']
    """
    chance = np.random.default_rng(seed)
    return [_hurried(text, chance) if chance.random() < share else text for text in texts]


def _hurried(text: str, chance: np.random.Generator) -> str:
    how = chance.random()
    if how < LOWERED:
        changed = text.lower()
    elif how < LOWERED + BARE:
        changed = _MARKS.sub("", text)
    else:
        changed = _slipped(text, chance)
    return changed if changed.strip() else text


def _slipped(text: str, chance: np.random.Generator) -> str:
    """Letters swapped with the next one, left out or doubled."""
    letters = list(text)
    for _ in range(max(1, len(letters) // ONE_IN)):
        place = int(chance.integers(len(letters)))
        how = chance.random()
        if how < 0.4 and place + 1 < len(letters):
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
        elif how < 0.7:
            letters[place] = ""
        else:
            letters[place] *= 2
    return "".join(letters)
