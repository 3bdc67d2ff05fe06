"""Finds texts that stand more than once, in one file or in two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tagdesk.dataset.findings import Leak, Problem
from tagdesk.dataset.near import near_duplicate_groups
from tagdesk.dataset.rows import Accepted
from tagdesk.text import clean


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a file as they are compared: cleaned, whatever their case; row by row with their tickets."""

    rows: Sequence[Accepted]
    keys: Sequence[str]

    @classmethod
    def of(cls, rows: Sequence[Accepted]) -> Texts:
        """The texts of accepted rows."""
        return cls(rows, [clean(row.ticket.text).text.casefold() for row in rows])


def find_repeats(texts: Texts) -> list[Problem]:
    """Rows that repeat an earlier one: word by word (`repeated_text`), or nearly (`near_duplicate`)."""
    seen: set[str] = set()
    first: list[int] = []
    repeated: list[int] = []
    for place, key in enumerate(texts.keys):
        (repeated if key in seen else first).append(place)
        seen.add(key)
    groups: set[int] = set()
    near: list[int] = []
    for place, group in zip(first, near_duplicate_groups([texts.keys[place] for place in first]).tolist(), strict=True):
        if group in groups:
            near.append(place)
        groups.add(group)
    return [
        *_problem(
            texts, repeated, "repeated_text", "repeat the text of an earlier one", "Delete what was exported twice"
        ),
        *_problem(
            texts, near, "near_duplicate", "have nearly the text of an earlier one", "Few of them say as much as all"
        ),
    ]


def find_contradictions(texts: Texts) -> list[Problem]:
    """Texts that stand with different labels (`contradiction`)."""
    first: dict[str, tuple[int, frozenset[str]]] = {}
    lines: set[int] = set()
    keys: set[str] = set()
    for row, key in zip(texts.rows, texts.keys, strict=True):
        labels = row.ticket.labels
        if labels is None:
            continue
        line, before = first.setdefault(key, (row.where, labels))
        if before != labels:
            keys.add(key)
            lines |= {line, row.where}
    if not keys:
        return []
    message = f"Texts that stand with different labels: {len(keys):,}. Decide which are right; learning gets both."
    return [Problem("warning", "contradiction", message, len(keys), tuple(sorted(lines)))]


def find_leak(texts: Texts, other: Texts, name: str) -> Leak | None:
    """The texts of this file that also stand in the other one, None where there are none."""
    groups = near_duplicate_groups([*texts.keys, *other.keys]).tolist()
    lines = {key: row.where for row, key in zip(reversed(other.rows), reversed(other.keys), strict=True)}
    near_lines = dict(
        zip(reversed(groups[len(texts.keys) :]), (row.where for row in reversed(other.rows)), strict=True)
    )
    exact: list[tuple[int, int]] = []
    near: list[tuple[int, int]] = []
    for row, key, group in zip(texts.rows, texts.keys, groups, strict=False):
        if key in lines:
            exact.append((row.where, lines[key]))
        elif group in near_lines:
            near.append((row.where, near_lines[group]))
    return Leak(name, len(exact), len(near), tuple(exact + near)) if exact or near else None


def _problem(texts: Texts, places: Sequence[int], code: str, what: str, remedy: str) -> list[Problem]:
    if not places:
        return []
    message = f"Rows that {what}: {len(places):,}. {remedy}; a split keeps them on one side."
    lines = tuple(texts.rows[place].where for place in places)
    return [Problem("warning" if code == "repeated_text" else "info", code, message, len(places), lines)]
