"""Splits tickets into parts that share no text, no customer, or no time."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence

import numpy as np

from tagdesk.arrays import FloatArray, IntArray, Targets
from tagdesk.dataset.near import near_duplicate_groups
from tagdesk.dataset.stratify import stratify
from tagdesk.errors import InputError, UsageError
from tagdesk.text import clean
from tagdesk.ticket import Ticket

WAYS = ("labels", "unit", "time")


def split(
    tickets: Sequence[Ticket], shares: Mapping[str, float], *, by: str = "labels", seed: int = 0
) -> dict[str, list[Ticket]]:
    """Deal tickets to named parts; the same or nearly the same text never lands in two of them.

    Args:
        tickets: what to split; each part keeps their order.
        shares: the part of the tickets that each name gets, summing to 1.
        by: "labels" makes the parts alike in their labels; "unit" also keeps each customer's tickets together; "time"
            cuts by time, the first name getting the oldest: tickets of one time stay together, and a later copy of a
            text goes with the first.
        seed: the same seed gives the same parts.

    Raises:
        InputError: `too_few` where a part would stay empty, `missing_unit`, `missing_time`.
        UsageError: shares that do not sum to 1, or an unknown `by`.

    >>> tickets = [Ticket(str(n), f"question {n} of customer {n}", frozenset("AB"[n % 2])) for n in range(10)]
    >>> {name: len(part) for name, part in split(tickets, {"train": 0.8, "test": 0.2}).items()}
    {'train': 8, 'test': 2}
    """
    parts = _checked(shares)
    if by not in WAYS:
        raise UsageError(f"Split by {by!r}: expected one of {', '.join(WAYS)}.", code="bad_split")
    if not tickets:
        raise InputError("There are no tickets to split. Name a file that has some.", code="too_few")
    groups = near_duplicate_groups([clean(ticket.text).text for ticket in tickets])
    if by == "time":
        side = _by_time(_times(tickets), groups, parts)
    else:
        groups = _with_units(groups, [ticket.unit for ticket in tickets]) if by == "unit" else groups
        side = stratify(_targets(tickets), groups, parts, seed)
    dealt: dict[str, list[Ticket]] = {name: [] for name in shares}
    names = list(shares)
    for ticket, place in zip(tickets, side, strict=True):
        dealt[names[place]].append(ticket)
    return dealt


def stratified_folds(
    texts: Sequence[str], targets: Targets, k: int, seed: int, *, units: Sequence[str | None] | None = None
) -> list[IntArray]:
    """The rows of each of `k` folds, disjoint and together all; alike in their labels, near duplicates in one fold.

    Args:
        texts: cleaned texts.
        targets: (texts, labels).
        k: how many folds, at least 2.
        seed: the same seed gives the same folds.
        units: the customer of each text, whose texts then stay in one fold.

    Raises:
        InputError: `too_few`, where there are fewer different texts or customers than folds; `missing_unit`.
    """
    if k < 2 or len(texts) != len(targets):
        raise ValueError(
            f"{k} folds of {len(texts)} texts with {len(targets)} targets; expected k >= 2, as many of both."
        )
    if not texts:
        raise InputError("There are no tickets to deal to folds. Name a file that has some.", code="too_few")
    groups = near_duplicate_groups(texts)
    side = stratify(targets, groups if units is None else _with_units(groups, units), np.full(k, 1 / k), seed)
    return [np.flatnonzero(side == fold) for fold in range(k)]


def _checked(shares: Mapping[str, float]) -> FloatArray:
    parts = np.array(list(shares.values()), np.float64)
    if len(parts) < 2 or not np.all(parts > 0) or not math.isclose(parts.sum(), 1, abs_tol=1e-6):
        given = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        raise UsageError(
            f"Shares {given or 'are missing'}: expected two or more, above 0, that sum to 1.", code="bad_shares"
        )
    return parts


def _targets(tickets: Sequence[Ticket]) -> Targets:
    """The labels of tickets as a matrix (tickets, labels) in alphabetical order; unlabelled ones carry none."""
    names = sorted(set().union(*(ticket.labels or () for ticket in tickets)))
    column = {name: index for index, name in enumerate(names)}
    targets = np.zeros((len(tickets), len(names)), np.bool_)
    for row, ticket in enumerate(tickets):
        targets[row, [column[name] for name in ticket.labels or ()]] = True
    return targets


def _with_units(groups: IntArray, customers: Sequence[str | None]) -> IntArray:
    """Groups that also hold all tickets of a customer together, numbered from 0, (tickets,)."""
    from scipy.sparse import coo_array  # noqa: PLC0415 - slow to import
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    if all(customer is None for customer in customers):
        raise InputError(
            "No ticket says which customer wrote it. Name the column that does, or split by labels.",
            code="missing_unit",
        )
    count = int(groups.max()) + 1
    numbers: dict[str, int] = {}
    units = [None if name is None else count + numbers.setdefault(name, len(numbers)) for name in customers]
    links = np.array([(g, u) for g, u in zip(groups, units, strict=True) if u is not None], np.int64).T
    size = count + len(numbers)
    graph = coo_array((np.ones(links.shape[1], np.bool_), (links[0], links[1])), shape=(size, size))
    joined = connected_components(graph, directed=False)[1][groups]
    return np.unique(joined, return_inverse=True)[1].astype(np.int64)


def _times(tickets: Sequence[Ticket]) -> FloatArray:
    """Seconds since 1970 of each ticket, (tickets,); a time without a zone counts as UTC."""
    times = np.empty(len(tickets))
    for row, ticket in enumerate(tickets):
        try:
            when = dt.datetime.fromisoformat(ticket.time or "")
        except ValueError:
            what = f"time {ticket.time[:40]!r}" if ticket.time else "no time"
            raise InputError(
                f"Ticket {ticket.id[:40]!r} has {what}; expected ISO 8601 such as 2024-05-31T14:00:00Z. "
                "Mend it, or split by labels.",
                code="missing_time",
            ) from None
        times[row] = (when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp()
    return times


def _by_time(times: FloatArray, groups: IntArray, shares: FloatArray) -> IntArray:
    """The side of each ticket, (tickets,), the first side getting the oldest."""
    ordered = np.sort(times)
    changes = np.flatnonzero(ordered[1:] > ordered[:-1]) + 1  # places where a cut parts no tickets of one time
    ideal = np.cumsum(shares)[:-1] * len(times)
    cuts = [changes[np.abs(changes - place).argmin()] for place in ideal] if len(changes) else []
    side = np.searchsorted(ordered[cuts], times, side="right") if len(changes) else np.zeros(len(times), np.int64)
    first = np.full(int(groups.max()) + 1, len(shares))
    np.minimum.at(first, groups, side)
    side = first[groups].astype(np.int64)
    if len(np.unique(side)) < len(shares):
        raise InputError(
            f"{len(times):,} tickets of {len(changes) + 1:,} times and with {len(first):,} different texts leave "
            "a part empty. Add tickets of other times, or split by labels.",
            code="too_few",
        )
    return side
