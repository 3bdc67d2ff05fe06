"""Shares a range of numbers out among variants, and moves as little of it as new shares allow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

PARTS = 1_000_000  # of the range: shares are kept to a millionth


class Segment(NamedTuple):
    """The parts from the end of the segment before, or 0, up to `end` (not included) belong to `variant`."""

    end: int
    variant: str


def in_order(shares: Mapping[str, float]) -> tuple[Segment, ...]:
    """One segment for each variant that has a share, in the order given.

    >>> in_order({"a": 0.25, "b": 0.75})
    (Segment(end=250000, variant='a'), Segment(end=1000000, variant='b'))
    """
    return _segments(parts(shares).items())


def parts(shares: Mapping[str, float]) -> dict[str, int]:
    """How many of the `PARTS` each share is; what rounding leaves over goes to those that lose most by it.

    >>> parts({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})
    {'a': 333334, 'b': 333333, 'c': 333333}
    """
    exact = {
        name: round(share * PARTS, 6) for name, share in shares.items()
    }  # 0.29 * PARTS is a little less than it is
    found = {name: int(value) for name, value in exact.items()}
    over = PARTS - sum(found.values())
    for name in sorted(exact, key=lambda name: found[name] - exact[name])[: max(0, over)]:
        found[name] += 1
    for name in sorted(exact, key=lambda name: -found[name])[: max(0, -over)]:
        found[name] -= 1
    return found


def shifted(segments: Sequence[Segment], shares: Mapping[str, float]) -> tuple[Segment, ...]:
    """The segments with other shares, of which only those parts move that must.

    Variants that shrink give up their last parts; those that grow take them, in the order of `shares`.

    >>> shifted(in_order({"a": 0.5, "b": 0.5}), {"a": 0.4, "b": 0.6})
    (Segment(end=400000, variant='a'), Segment(end=1000000, variant='b'))
    """
    wanted, lengths = parts(shares), _lengths(segments)
    held = dict.fromkeys(wanted, 0)
    for name, length in lengths:
        held[name] = held.get(name, 0) + length
    surplus = {name: count - wanted.get(name, 0) for name, count in held.items()}
    takers = deque((name, -count) for name, count in surplus.items() if count < 0)
    pieces: list[tuple[str, int]] = []
    for name, length in reversed(lengths):  # from the end, so that it is the last parts that are given up
        given = min(length, max(0, surplus[name]))
        surplus[name] -= given
        pieces += [*reversed(_take(takers, given)), (name, length - given)]
    return _segments(reversed(pieces))


def _take(takers: deque[tuple[str, int]], given: int) -> list[tuple[str, int]]:
    """Who takes how many of the parts that are given up, while `takers` lists who still lacks how many."""
    taken = []
    while given:
        name, lacking = takers.popleft()
        count = min(given, lacking)
        taken.append((name, count))
        given -= count
        if count < lacking:
            takers.appendleft((name, lacking - count))
    return taken


def moved(before: Sequence[Segment], after: Sequence[Segment]) -> float:
    """The share of the range that changes hands.

    >>> moved(in_order({"a": 0.5, "b": 0.5}), in_order({"a": 0.4, "b": 0.6}))
    0.1
    """
    stays, start = 0, 0
    for end in sorted({segment.end for segment in (*before, *after)}):
        stays += (end - start) * (owner(before, start) == owner(after, start))
        start = end
    return (PARTS - stays) / PARTS


def owner(segments: Sequence[Segment], part: int) -> str:
    """Whose a part is."""
    return next(segment.variant for segment in segments if part < segment.end)


def _lengths(segments: Sequence[Segment]) -> list[tuple[str, int]]:
    starts = [0, *(segment.end for segment in segments)]
    return [(segment.variant, segment.end - start) for segment, start in zip(segments, starts, strict=False)]


def _segments(lengths: Iterable[tuple[str, int]]) -> tuple[Segment, ...]:
    """Segments of these lengths, neighbours of one variant joined and empty ones left out."""
    kept = [(name, length) for name, length in lengths if length]
    found, end = [], 0
    for name, run in groupby(kept, key=lambda piece: piece[0]):
        end += sum(length for _, length in run)
        found.append(Segment(end, name))
    return tuple(found)
