"""What drift needs to know of texts, so that the texts themselves need not be kept."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tagdesk.arrays import IntArray
from tagdesk.text import clean

NO_SCRIPT = "none"  # of a text without letters
_DIGITS = re.compile(r"\d+")
_CJK = {"CJK", "HIRAGANA", "KATAKANA"}  # Japanese mixes them


@dataclass(frozen=True, slots=True)
class Texts:
    """Facts about the texts of a window, each (tickets,).

    Attributes:
        keys: equal where texts say the same but for case, white space and digits; the same in every window.
        lengths: characters.
        scripts: the script of most of the letters, such as "Latin"; `NO_SCRIPT` where there are no letters.
    """

    keys: IntArray
    lengths: IntArray
    scripts: NDArray[np.str_]

    def __post_init__(self) -> None:
        if not self.keys.shape == self.lengths.shape == self.scripts.shape or self.keys.ndim != 1:
            raise ValueError(
                f"keys {self.keys.shape}, lengths {self.lengths.shape} and scripts {self.scripts.shape}: expected "
                "(tickets,) for all three."
            )

    def take(self, rows: IntArray) -> Self:
        """The texts at the given rows, in that order."""
        return type(self)(self.keys[rows], self.lengths[rows], self.scripts[rows])


def read_texts(texts: Sequence[str]) -> Texts:
    """The facts about texts, in their order; raises InputError for half a character.

    >>> found = read_texts(["Order 12: where is it?", "ORDER 7:  where is it?", "Где мой заказ?"])
    >>> bool(found.keys[0] == found.keys[1]), found.lengths.tolist(), found.scripts.tolist()
    (True, [22, 21, 14], ['Latin', 'Latin', 'Cyrillic'])
    """
    cleaned = [clean(text).text for text in texts]
    return Texts(
        np.fromiter(map(_key, cleaned), np.int64, len(cleaned)),
        np.fromiter(map(len, cleaned), np.int64, len(cleaned)),
        np.array([_main_script(text) for text in cleaned], dtype=np.str_),
    )


def _key(text: str) -> int:
    same = _DIGITS.sub("0", text.casefold()).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(same, digest_size=8).digest(), signed=True)


def _main_script(text: str) -> str:
    """Of equally frequent ones the first in the alphabet."""
    if text.isascii():
        return "Latin" if any(map(str.isalpha, text)) else NO_SCRIPT
    counts: Counter[str] = Counter()
    for character, times in Counter(text).items():
        if character.isalpha():
            counts[_script(character)] += times
    return min(counts, key=lambda script: (-counts[script], script), default=NO_SCRIPT)


@cache
def _script(letter: str) -> str:
    """The first word of the letter's name, which is its script's."""
    first = unicodedata.name(letter, NO_SCRIPT).split(" ")[0].split("-")[0]
    return "CJK" if first in _CJK else first.capitalize()
