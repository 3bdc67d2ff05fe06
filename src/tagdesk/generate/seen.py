"""Remembers texts, and tells whether a new one says nearly the same as one of them.

Near are two texts whose sets of words overlap by a Jaccard index of at least 0.8. The search is exact: in any fixed
order of words, two such sets share one of their first words, about a fifth of them; only those are looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

_NUMERATOR, _DENOMINATOR = 4, 5  # the Jaccard index from which texts are near


class Seen:
    """The texts so far; memory grows with their number.

    >>> seen = Seen(lambda text: frozenset(text.split()))
    >>> [seen.add("a b c d e"), seen.add("e d c b a"), seen.add("v w x y z")]
    [True, False, True]
    """

    def __init__(self, words: Callable[[str], frozenset[str]]) -> None:
        self._words = words
        self._sets: list[frozenset[str]] = []
        self._holding: dict[str, list[int]] = {}

    def add(self, text: str) -> bool:
        """Whether the text is new; if so it is remembered."""
        words = self._words(text)
        needed = -(-len(words) * _NUMERATOR // _DENOMINATOR)  # words that a near set must share at least
        first = sorted(words, key=lambda word: (crc32(word.encode()), word))[: len(words) - needed + 1]
        candidates = {number for word in first for number in self._holding.get(word, ())}
        if any(_is_near(words, self._sets[number]) for number in candidates):
            return False
        for word in first:
            self._holding.setdefault(word, []).append(len(self._sets))
        self._sets.append(words)
        return True


def _is_near(one: frozenset[str], other: frozenset[str]) -> bool:
    shared = len(one & other)
    return shared * _DENOMINATOR >= (len(one) + len(other) - shared) * _NUMERATOR
