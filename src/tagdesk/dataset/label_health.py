"""Finds what is wrong with the labels of a file."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from tagdesk.dataset.findings import Problem, first_lines
from tagdesk.dataset.labels import SEPARATOR
from tagdesk.dataset.rows import Accepted
from tagdesk.taxonomy import MAX_NAME, Taxonomy

_SHOWN = 8  # labels that a sentence lists


def find_label_problems(
    rows: Sequence[Accepted], counts: Mapping[str, int], taxonomy: Taxonomy | None, rare_below: int
) -> list[Problem]:
    """What keeps labels from being learned: missing, unknown, rare, everywhere, or oddly named."""
    labelled = [row for row in rows if row.ticket.is_labelled]
    if not labelled:
        message = "No ticket is labelled. That is fine for classifying; training needs a column of labels."
        return [Problem("info", "unlabelled", message, len(rows))] if rows else []
    if not counts:
        message = "No ticket has a label: the column of labels is empty. Fill it before training."
        return [Problem("warning", "no_labels", message, len(labelled))]
    return [
        *_unknown(labelled, counts, taxonomy),
        *_rare(counts, rare_below),
        *_everywhere(counts, len(labelled)),
        *_odd(labelled, counts),
        *_alike(counts),
        *_partly(labelled, rows),
    ]


def _unknown(rows: Sequence[Accepted], counts: Mapping[str, int], taxonomy: Taxonomy | None) -> list[Problem]:
    if taxonomy is None:
        return []
    problems = []
    strangers = taxonomy.unknown(counts)
    if strangers:
        message = f"Labels outside the taxonomy: {_listing(strangers)}. Rename them, or add them to the taxonomy."
        problems.append(Problem("error", "unknown_label", message, len(strangers), _lines(rows, strangers)))
    unused = [name for name in taxonomy.names if name not in counts]
    if unused:
        message = f"Labels of the taxonomy that no ticket has: {_listing(unused)}. Add tickets that deserve them."
        problems.append(Problem("warning", "unused_label", message, len(unused)))
    return problems


def _rare(counts: Mapping[str, int], rare_below: int) -> list[Problem]:
    rare = [f"{name[:60]} ({count})" for name, count in counts.items() if count < rare_below]
    if not rare:
        return []
    message = f"Labels with fewer than {rare_below} tickets: {_listing(rare)}. Add tickets, or merge labels."
    return [Problem("warning", "rare_label", message, len(rare))]


def _everywhere(counts: Mapping[str, int], labelled: int) -> list[Problem]:
    everywhere = [name for name, count in counts.items() if count == labelled]
    if not everywhere:
        return []
    message = f"On every ticket: {_listing(everywhere)}. There is nothing to learn about it; add tickets without it."
    return [Problem("warning", "label_everywhere", message, len(everywhere))]


def _odd(rows: Sequence[Accepted], counts: Mapping[str, int]) -> list[Problem]:
    """Names that a taxonomy refuses are errors, those that look like a slip warnings."""
    refused = [name for name in counts if len(name) > MAX_NAME or SEPARATOR in name or not _is_one_line(name)]
    odd = [name for name in counts if name not in refused and _looks_like_a_slip(name)]
    problems = []
    if refused:
        message = (
            f"Label names that no taxonomy takes: {_listing(refused)}. "
            f"Names have one line of at most {MAX_NAME} characters without '{SEPARATOR}'; rename them."
        )
        problems.append(Problem("error", "bad_label_name", message, len(refused), _lines(rows, refused)))
    if odd:
        message = f"Label names that look like a slip: {_listing(odd)}. Rename them, unless they are meant so."
        problems.append(Problem("warning", "odd_label_name", message, len(odd), _lines(rows, odd)))
    return problems


def _alike(counts: Mapping[str, int]) -> list[Problem]:
    """Labels that differ only in case, blanks or form of their characters."""
    forms: dict[str, list[str]] = {}
    for name in counts:
        forms.setdefault("".join(unicodedata.normalize("NFKC", name[:MAX_NAME]).casefold().split()), []).append(name)
    alike = [" and ".join(map(repr, sorted(names))) for names in forms.values() if len(names) > 1]
    if not alike:
        return []
    message = f"Labels that differ in case or blanks only: {'; '.join(alike[:_SHOWN])}. Let them be spelled alike."
    return [Problem("warning", "similar_labels", message, len(alike))]


def _partly(labelled: Sequence[Accepted], rows: Sequence[Accepted]) -> list[Problem]:
    missing = [row.where for row in rows if not row.ticket.is_labelled]
    if not missing:
        return []
    message = f"Unlabelled: {len(missing):,} of {len(rows):,} tickets. Training uses the other {len(labelled):,}."
    return [Problem("info", "partly_labelled", message, len(missing), first_lines(missing))]


def _is_one_line(name: str) -> bool:
    return not any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in name)


def _looks_like_a_slip(name: str) -> bool:
    """Whether a name holds signs that join names elsewhere or start formulas, or characters that are seldom words."""
    kinds = {unicodedata.category(character) for character in name}
    return not kinds.isdisjoint({"Cf", "Co", "Cn", "So"}) or any(sign in name for sign in '/\\=;,[]{}<>"')


def _lines(rows: Sequence[Accepted], names: Iterable[str]) -> tuple[int, ...]:
    wanted = frozenset(names)
    return first_lines(row.where for row in rows if not wanted.isdisjoint(row.ticket.labels or ()))


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60])[1:-1] for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
