"""Which sentences make up ticket number n: a walk through all combinations that meets none twice.

Each ticket gets a label set, and among the label set's tickets a rank. The combinations of one sentence per label and
up to two asides are numbered; multiplying a rank by a number coprime to their count permutes them, so that tickets
differ in a sentence without anything having to be remembered, and any ticket can be made without those before it.

An aside that stands alone in some ticket never stands beside a second one in another, nor alone beside more needs or
fewer: otherwise one ticket could be the other with a short sentence more, and they would say nearly the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import Final, TypeVar

_Item = TypeVar("_Item")

SHARES: Final = (12, 45, 36, 7)  # tickets in a hundred that raise no, one, two and three labels
_ALONE: Final = 5  # one aside in five stands alone; the others come in pairs
_MOST_SETS: Final = 5_000  # label sets of one size; a taxonomy of hundreds of labels has millions
_BY_ASIDES: Final = (3, 4, 3)  # tickets in ten with no, one and two asides, while there are such left


@dataclass(frozen=True, slots=True)
class Place:
    """What a ticket is made of.

    `sentences` has an index for each label; where there are no labels, it has one index among the messages without a
    need. `asides` are indices in rising order.
    """

    labels: tuple[str, ...]
    sentences: tuple[int, ...]
    asides: tuple[int, ...]


class Combinations:
    """All combinations of a sentence for each of some labels with no aside, one or two, in a scattered order.

    Args:
        sizes: how many sentences there are for each label.
        alone: the asides that stand alone.
        paired: the asides of which two stand together.
        key: the same key gives the same order.
    """

    def __init__(self, sizes: Sequence[int], alone: Sequence[int], paired: Sequence[int], *, key: str) -> None:
        self._sizes = tuple(sizes)
        self._alone = tuple(alone)
        self._paired = tuple(paired)
        base = math.prod(sizes)
        draw = Random(key)  # noqa: S311 - chance by a seed, no secret
        whole = [base, base * len(alone), base * math.comb(len(paired), 2)]
        self._spaces = tuple((size, *_step(size, draw)) for size in whole)
        self._phases = _phases(whole)
        self.capacity = sum(ranks for ranks, _, _ in self._phases)

    def at(self, rank: int, *, wrap: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The sentences and asides at a rank; with `wrap` they recur, and few asides stay as frequent as many."""
        count, number = self._tier(rank, wrap=wrap)
        size, factor, shift = self._spaces[count]
        rest = (number * factor + shift) % size
        sentences = []
        for sentences_of_label in self._sizes:
            rest, sentence = divmod(rest, sentences_of_label)
            sentences.append(sentence)
        return tuple(sentences), self._asides(rest, count)

    def _asides(self, number: int, count: int) -> tuple[int, ...]:
        """The set of `count` asides that stands at a place among all such sets."""
        if count == 0:
            return ()
        if count == 1:
            return (self._alone[number],)
        high = (1 + math.isqrt(1 + 8 * number)) // 2
        return (self._paired[number - high * (high - 1) // 2], self._paired[high])

    def _tier(self, rank: int, *, wrap: bool) -> tuple[int, int]:
        """How many asides the combination at a rank has, and its number among those with as many."""
        for ranks, shares, used in self._phases:
            if rank < ranks or wrap:
                turn, within = divmod(rank, sum(shares))
                for count, share in enumerate(shares):
                    if within < share:
                        return count, used[count] + turn * share + within
                    within -= share
            rank -= ranks
        raise IndexError(f"There are {self.capacity} combinations.")


class Walk:
    """The places of tickets 0, 1, 2, ...

    Args:
        sentences: how many sentences each label has, in the order of the labels.
        without_need: how many messages raise no label.
        asides: how many asides there are.
        seed: the same seed gives the same walk.
        wrap: let combinations recur instead of ending.
    """

    def __init__(
        self, sentences: dict[str, int], without_need: int, asides: int, *, seed: int, wrap: bool = False
    ) -> None:
        self._wrap = wrap
        draw = Random(f"walk {seed}")  # noqa: S311 - chance by a seed, no secret
        most = min(len(SHARES) - 1, len(sentences))
        block = _shuffled((min(size, most) for size, share in enumerate(SHARES) for _ in range(share)), draw)
        self._block = tuple(block)
        self._nth = tuple(block[:position].count(size) for position, size in enumerate(block))
        alone = range(0, asides, _ALONE)
        paired = [aside for aside in range(asides) if aside % _ALONE]
        self._sets: list[list[tuple[tuple[str, ...], Combinations]]] = []
        for size in range(most + 1):
            sets = _label_sets(tuple(sentences), size, draw)
            sizes = [[sentences[label] for label in labels] or [without_need] for labels in sets]
            spaces = [
                Combinations(given, alone[size :: len(SHARES)], paired, key=f"{seed} {labels}")
                for labels, given in zip(sets, sizes, strict=True)
            ]
            self._sets.append(list(zip(sets, spaces, strict=True)))

    @property
    def capacity(self) -> int:
        """How many tickets there are before a combination would have to recur: where a label set first runs out."""
        ends = []
        for size, sets in enumerate(self._sets):
            places = [place for place, of_size in enumerate(self._block) if of_size == size]
            number = min(space.capacity * len(sets) + which for which, (_, space) in enumerate(sets))
            turn, nth = divmod(number, len(places))
            ends.append(turn * len(self._block) + places[nth])
        return min(ends)

    def at(self, index: int) -> Place:
        """What ticket number `index` is made of; raises IndexError beyond the capacity."""
        turn, position = divmod(index, len(self._block))
        size = self._block[position]
        sets = self._sets[size]
        rank, which = divmod(turn * self._block.count(size) + self._nth[position], len(sets))
        labels, space = sets[which]
        return Place(labels, *space.at(rank, wrap=self._wrap))


def _label_sets(labels: Sequence[str], size: int, draw: Random) -> list[tuple[str, ...]]:
    """All sets of `size` labels in a random order; of very many a random choice."""
    if math.comb(len(labels), size) <= _MOST_SETS:
        return _shuffled(combinations(labels, size), draw)
    chosen: dict[tuple[int, ...], None] = {}
    while len(chosen) < _MOST_SETS:
        some = {int(draw.random() * len(labels)) for _ in range(size)}
        if len(some) == size:
            chosen[tuple(sorted(some))] = None
    return [tuple(labels[place] for place in places) for places in chosen]


def _phases(left: list[int]) -> tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...]:
    """Ranks in a row, the shares by asides among them, and how many of each were used before.

    When those without asides run out, the others go on without them.
    """
    phases, used = [], [0] * len(left)
    while any(left):
        shares = tuple(min(share, remaining) for share, remaining in zip(_BY_ASIDES, left, strict=True))
        turns = min(remaining // share for share, remaining in zip(shares, left, strict=True) if share)
        phases.append((turns * sum(shares), shares, tuple(used)))
        left = [remaining - turns * share for share, remaining in zip(shares, left, strict=True)]
        used = [before + turns * share for share, before in zip(shares, used, strict=True)]
    return tuple(phases)


def _step(size: int, draw: Random) -> tuple[int, int]:
    """A factor coprime to a size, and a shift: together they permute the numbers below it."""
    factor = 1 + int(draw.random() * size)
    while size and math.gcd(factor, size) != 1:
        factor += 1
    return factor, int(draw.random() * size)


def _shuffled(items: Iterable[_Item], draw: Random) -> list[_Item]:
    """The items in another order, by `random()` alone, which gives the same on every version of Python."""
    return [item for _, item in sorted(((draw.random(), item) for item in items), key=lambda pair: pair[0])]
