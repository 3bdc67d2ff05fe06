"""Finds the words that matter to a model by leaving them out, within a number of texts to judge.

What is to be judged is yielded and the answer sent back, so that a model, or a service that stands in a line before
one, can answer in its own way and stop when its time is over.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from tagdesk.arrays import FloatArray
from tagdesk.explain.values import Weighed
from tagdesk.explain.words import Span, opening, without, words_of

MOST = 64  # texts judged for an explanation, the ticket itself not counted
ROUND = 16  # texts between two looks at which words are worth a closer one
PART = 600  # characters, about 150 tokens: a part that any encoder reads whole

# Texts to judge; log-odds (texts, columns) come back, of as many of the first texts as there was time for.
Inquiry: TypeAlias = Generator[list[str], FloatArray, Weighed]
_Known: TypeAlias = dict[tuple[int, int], FloatArray]  # first word, end -> (columns,), what leaving them out took away


@dataclass(frozen=True, slots=True)
class Limits:
    """How much work an explanation may cost.

    Attributes:
        most: texts that are judged; longer tickets are looked at in groups of words, the strongest then more closely.
        seconds: after which no more of them are begun.
    """

    most: int = MOST
    seconds: float = 10.0

    def __post_init__(self) -> None:
        if self.most < 1 or not self.seconds >= 0:
            raise ValueError(f"most {self.most}, seconds {self.seconds}: expected at least 1, and no less than 0.")


def inquire(text: str, whole: FloatArray, *, is_long: bool = False, most: int = MOST) -> Inquiry:
    """Ask what words add to the log-odds of some columns: those of the ticket less those without the word.

    A ticket that was read in passages is judged in parts first; then, for each column, the part that is judged most
    like the whole is looked at alone. Raises ValueError for fewer than one text.

    Args:
        text: as it was sent, one that `check_text` accepts.
        whole: (columns,), log-odds of the ticket.
        is_long: whether it was read in passages.
        most: texts that may be asked for.

    >>> asking = inquire("please refund", np.array([2.0]))
    >>> next(asking)
    [' refund', 'please ']
    >>> try:
    ...     asking.send(np.array([[1.9], [-1.0]]))
    ... except StopIteration as end:
    ...     end.value.weights.round(1).tolist()
    [[0.1], [3.0]]
    """
    if most < 1:
        raise ValueError(f"most = {most}: expected at least 1.")
    begun = opening(text)
    words = words_of(begun)
    parts = _parts(words, max(1, most // 2)) if is_long else [(0, len(words))]
    if not words or (parts == [(0, len(words))] and begun == text):
        weights, used = yield from _closer(text, words, whole, most)
        return _gathered(words, [weights], len(whole), used, is_coarse=len(weights) < len(words))
    texts = [begun[words[first].start : words[end - 1].end] for first, end in parts]
    judged = yield texts
    used, found = len(judged), []
    nearest = np.abs(judged - whole).argmin(axis=0) if used else np.zeros(0, dtype=np.int64)
    chosen = np.unique(nearest).tolist()
    for turn, part in enumerate(chosen):
        room = (most - used) // (len(chosen) - turn)
        if room:
            first, end = parts[part]
            inside = [Span(word.start - words[first].start, word.end - words[first].start) for word in words[first:end]]
            weights, asked = yield from _closer(texts[part], inside, judged[part], room)
            mine = nearest == part
            found.append({(a + first, b + first): np.where(mine, row, np.nan) for (a, b), row in weights.items()})
            used += asked
    return _gathered(words, found, len(whole), used, is_coarse=True)


def _closer(
    text: str, words: Sequence[Span], whole: FloatArray, most: int
) -> Generator[list[str], FloatArray, tuple[_Known, int]]:
    """Weights of words, or of groups of them, and how many texts were judged for them."""
    weights: _Known = {}
    groups = len(words) if len(words) <= most else max(1, most // 2)
    wanted = [_split(0, len(words), groups)] if words else []
    used = 0
    while wanted:
        asked = [group for parts in wanted for group in parts]
        judged = yield [without(text, [Span(words[a].start, words[b - 1].end)]) for a, b in asked]
        found = {group: whole - row for group, row in zip(asked, judged, strict=False)}
        if not used:
            weights = found
        for parts in wanted if used else []:
            if found.keys() >= set(parts):  # what there was no time for stays the group that it was
                del weights[parts[0][0], parts[-1][1]]
                weights |= {part: found[part] for part in parts}
        used += len(judged)
        wanted = _worth_a_look(weights, most - used) if len(judged) == len(asked) else []
    return weights, used


def _worth_a_look(weights: _Known, room: int) -> list[list[tuple[int, int]]]:
    """The strongest groups in parts, for the next round."""
    room = min(room, ROUND)
    wide = [group for group in weights if group[1] - group[0] > 1]
    wanted: list[list[tuple[int, int]]] = []
    for first, end in sorted(wide, key=lambda group: -float(np.abs(weights[group]).max(initial=0.0))):
        if room >= 2:
            wanted.append(_split(first, end, min(end - first, room)))
            room -= len(wanted[-1])
    return wanted


def _gathered(
    words: Sequence[Span], found: Sequence[_Known], columns: int, variants: int, *, is_coarse: bool
) -> Weighed:
    together = {group: weight for known in found for group, weight in known.items()}
    groups = sorted(together)
    spans = tuple(Span(words[a].start, words[b - 1].end) for a, b in groups)
    weights = np.array([together[group] for group in groups], dtype=np.float64).reshape(len(groups), columns)
    return Weighed(spans, weights, is_coarse=is_coarse, variants=variants)


def _split(first: int, end: int, parts: int) -> list[tuple[int, int]]:
    """The words from `first` up to `end` in so many groups of like size."""
    bounds = [first + (end - first) * n // parts for n in range(parts + 1)]
    return list(pairwise(bounds))


def _parts(words: Sequence[Span], most: int) -> list[tuple[int, int]]:
    """Words in parts of at most `PART` characters, where one word is not longer; the first so many parts."""
    found: list[tuple[int, int]] = []
    first = 0
    for place, word in enumerate(words):
        if place > first and word.end - words[first].start > PART:
            found.append((first, place))
            first = place
    return [*found, (first, len(words))][:most]
