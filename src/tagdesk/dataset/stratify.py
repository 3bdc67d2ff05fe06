"""Deals groups of tickets to sides so that every side gets its share of each label.

Iterative stratification (Sechidis et al. 2011) over labels and pairs of labels (Szymański and Kajdanowicz 2017), with
whole groups in place of single tickets: the rarest label is dealt first, each time to the side that still wants it
most.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, TypeAlias

import numpy as np

from tagdesk.arrays import FloatArray, IntArray, Targets
from tagdesk.errors import InputError

_MOST_PAIRED = 8  # labels on one ticket; a ticket with more is stratified by its single labels only

_Counts: TypeAlias = Any  # a scipy.sparse.csr_array (groups, features)


def stratify(targets: Targets, groups: IntArray, shares: FloatArray, seed: int) -> IntArray:
    """The side of each ticket, (tickets,), so that groups stay whole and sides are alike in their labels.

    Args:
        targets: (tickets, labels), True where the ticket carries the label.
        groups: (tickets,), numbered from 0 without gaps.
        shares: (sides,), the part of the tickets that each side should get; they sum to 1.
        seed: decides between sides that want a group equally.

    Raises:
        InputError: `too_few`, where there are fewer groups than sides.
    """
    sizes = np.bincount(groups)
    if len(sizes) < len(shares):
        raise InputError(
            f"{len(groups):,} tickets with {len(sizes):,} different texts or customers cannot be dealt to "
            f"{len(shares)} sides. Add tickets that differ.",
            code="too_few",
        )
    counts = _group_counts(_features(targets, len(shares)), groups)
    side = _deal(counts, sizes, shares, np.random.default_rng(seed))
    _fill_empty_sides(side, sizes, len(shares))
    return side[groups]


def _features(targets: Targets, least: int) -> _Counts:
    """What is dealt evenly, (tickets, features): labels, pairs of them that occur `least` times, having no label."""
    from scipy.sparse import csr_array, hstack  # noqa: PLC0415 - slow to import

    carried = [np.flatnonzero(row).tolist() for row in targets]
    pairs: dict[tuple[int, int], list[int]] = {}
    for ticket, labels in enumerate(carried):
        if len(labels) <= _MOST_PAIRED:
            for pair in combinations(labels, 2):
                pairs.setdefault(pair, []).append(ticket)
    often = [tickets for tickets in pairs.values() if len(tickets) >= least]
    columns = np.repeat(np.arange(len(often)), [len(tickets) for tickets in often])
    rows = np.concatenate([np.empty(0, np.int64), *often]).astype(np.int64)
    paired = csr_array((np.ones(len(rows), np.int64), (rows, columns)), shape=(len(targets), len(often)))
    bare = csr_array(~targets.any(axis=1, keepdims=True), dtype=np.int64)
    return hstack([csr_array(targets, dtype=np.int64), paired, bare], format="csr")


def _group_counts(features: _Counts, groups: IntArray) -> _Counts:
    """How often each feature occurs in each group, (groups, features)."""
    from scipy.sparse import csr_array  # noqa: PLC0415

    tickets = np.arange(len(groups))
    member = csr_array((np.ones(len(groups), np.int64), (groups, tickets)), shape=(int(groups.max()) + 1, len(groups)))
    return (member @ features).tocsr()


def _deal(counts: _Counts, sizes: IntArray, shares: FloatArray, rng: np.random.Generator) -> IntArray:
    """The side of each group, (groups,)."""
    side = np.full(len(sizes), -1, np.int64)
    remaining = np.asarray(counts.sum(axis=0), np.int64)
    want = shares[:, None] * remaining  # (sides, features)
    want_tickets = shares * sizes.sum()
    holders = counts.tocsc()
    turn = np.lexsort((rng.permutation(len(sizes)), -sizes))  # large groups first, while there is room for them
    place = np.argsort(turn)
    while remaining.any():
        rarest = int(np.where(remaining > 0, remaining, np.iinfo(np.int64).max).argmin())
        open_groups = holders.indices[holders.indptr[rarest] : holders.indptr[rarest + 1]]
        open_groups = open_groups[side[open_groups] < 0]
        for group in open_groups[np.argsort(place[open_groups])]:
            chosen = np.lexsort((rng.random(len(shares)), want_tickets, want[:, rarest]))[-1]
            side[group] = chosen
            held = slice(counts.indptr[group], counts.indptr[group + 1])
            features, times = counts.indices[held], counts.data[held]
            want[chosen, features] -= times
            remaining[features] -= times
            want_tickets[chosen] -= sizes[group]
    return side


def _fill_empty_sides(side: IntArray, sizes: IntArray, sides: int) -> None:
    """Give a side without any group the smallest group of the side that has most."""
    for empty in np.setdiff1d(np.arange(sides), side):
        richest = np.bincount(side, minlength=sides).argmax()
        donors = np.flatnonzero(side == richest)
        side[donors[sizes[donors].argmin()]] = empty
