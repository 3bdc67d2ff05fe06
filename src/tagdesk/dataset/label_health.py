"""Finds what is wrong with the labels of a file."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from tagdesk.dataset.columns import labels_hint
from tagdesk.dataset.findings import Problem
from tagdesk.dataset.labels import SEPARATOR
from tagdesk.dataset.rows import Accepted, ReadResult
from tagdesk.taxonomy import MAX_NAME, Taxonomy

_SHOWN = 8  # labels that a sentence lists
_JOINTS = ",;"  # what joins labels elsewhere


def find_label_problems(
    found: ReadResult, counts: Mapping[str, int], taxonomy: Taxonomy | None, rare_below: int
) -> list[Problem]:
    """What keeps labels from being learned: missing, unknown, rare, everywhere, or oddly named."""
    rows = found.accepted
    labelled = [row for row in rows if row.ticket.is_labelled]
    if not labelled:
        message = f"No ticket is labelled. That is fine for classifying; training needs labels. {labels_hint(found)}"
        return [Problem("info", "unlabelled", message, len(rows))] if rows else []
    if not counts:
        message = f"No ticket has a label; training needs some. {labels_hint(found)}"
        return [Problem("warning", "no_labels", message, len(labelled))]
    return [
        *_unknown(labelled, counts, taxonomy),
        *_refused(labelled, counts),
        *_slips(labelled, counts, taxonomy.names if taxonomy else ()),
        *_rare(counts, rare_below),
        *_everywhere(counts, len(labelled)),
        *_alike(labelled, counts),
        *_partly(labelled, rows),
    ]


def find_split_labels(rows: Sequence[Accepted]) -> list[Problem]:
    """Labels that would be learned as others than were meant: spelled in two ways, or joined by another sign."""
    counts = dict(Counter(label for row in rows for label in row.ticket.labels or ()).most_common())
    found = (*_slips(rows, counts, ()), *_alike(rows, counts))
    return [problem for problem in found if problem.code in {"joined_labels", "similar_labels"}]


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
    rare = [f"{_quoted(name)} ({count})" for name, count in counts.items() if count < rare_below]
    if not rare:
        return []
    message = f"Labels with fewer than {rare_below} tickets: {_series(rare)}. Add tickets, or merge labels."
    return [Problem("warning", "rare_label", message, len(rare))]


def _everywhere(counts: Mapping[str, int], labelled: int) -> list[Problem]:
    everywhere = [name for name, count in counts.items() if count == labelled]
    if not everywhere:
        return []
    message = f"On every ticket: {_listing(everywhere)}. There is nothing to learn about it; add tickets without it."
    return [Problem("warning", "label_everywhere", message, len(everywhere))]


def _refused(rows: Sequence[Accepted], counts: Mapping[str, int]) -> list[Problem]:
    refused = [name for name in counts if _is_refused(name)]
    if not refused:
        return []
    message = (
        f"Label names that no taxonomy takes: {_listing(refused)}. "
        f"Names have one line of at most {MAX_NAME} characters without '{SEPARATOR}'; rename them."
    )
    return [Problem("error", "bad_label_name", message, len(refused), _lines(rows, refused))]


def _slips(rows: Sequence[Accepted], counts: Mapping[str, int], known: Collection[str]) -> list[Problem]:
    """Names that look like several labels in one, or like a slip."""
    joined = {sign: _joined_by(sign, counts, known) for sign in _JOINTS}
    problems = [
        Problem(
            "warning",
            "joined_labels",
            f"Labels that look like several, joined by '{sign}': {_listing(names)}. "
            f"Several labels in a cell are joined by '{SEPARATOR}', not by '{sign}'; replace it.",
            len(names),
            _lines(rows, names),
        )
        for sign, names in joined.items()
        if names
    ]
    told = frozenset(name for names in joined.values() for name in names)
    odd = [name for name in counts if name not in told and not _is_refused(name) and _looks_like_a_slip(name)]
    if odd:
        message = f"Label names that look like a slip: {_listing(odd)}. Rename them, unless they are meant so."
        problems.append(Problem("warning", "odd_label_name", message, len(odd), _lines(rows, odd)))
    return problems


def _joined_by(sign: str, names: Collection[str], known: Collection[str]) -> list[str]:
    """Unknown names with the sign inside, where most of what it parts is known or stands in another name too."""
    parts = {name: {part.strip() for part in name.split(sign)} - {""} for name in names}
    times = Counter(part for each in parts.values() for part in each) + Counter(known)
    joined = [name for name in names if sign in name and name not in known]
    found = [times[part] > 1 for name in joined for part in parts[name]]
    return joined if sum(found) > len(found) / 2 else []


def _alike(rows: Sequence[Accepted], counts: Mapping[str, int]) -> list[Problem]:
    """Labels that differ only in case, blanks or form of their characters."""
    forms: dict[str, list[str]] = {}
    for name in counts:
        forms.setdefault("".join(unicodedata.normalize("NFKC", name[:MAX_NAME]).casefold().split()), []).append(name)
    alike = [names for names in forms.values() if len(names) > 1]
    if not alike:
        return []
    pairs = "; ".join(" and ".join(map(_quoted, sorted(names))) for names in alike[:_SHOWN])
    message = (
        f"Labels that differ in case or blanks only: {pairs}. Spell them alike; the lines have the rarer spelling."
    )
    rarer = [name for names in alike for name in names[1:]]  # counts come from high to low
    return [Problem("warning", "similar_labels", message, len(alike), _lines(rows, rarer))]


def _partly(labelled: Sequence[Accepted], rows: Sequence[Accepted]) -> list[Problem]:
    missing = [row.where for row in rows if not row.ticket.is_labelled]
    if not missing:
        return []
    message = f"Unlabelled: {len(missing):,} of {len(rows):,} tickets. Training uses the other {len(labelled):,}."
    return [Problem("info", "partly_labelled", message, len(missing), tuple(missing))]


def _is_refused(name: str) -> bool:
    """Whether no taxonomy takes the name."""
    return len(name) > MAX_NAME or SEPARATOR in name or not _is_one_line(name)


def _is_one_line(name: str) -> bool:
    return not any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in name)


def _looks_like_a_slip(name: str) -> bool:
    """Whether a name holds signs that join names elsewhere or start formulas, or characters that are seldom words."""
    kinds = {unicodedata.category(character) for character in name}
    return not kinds.isdisjoint({"Cf", "Co", "Cn", "So"}) or any(sign in name for sign in '/\\=;,[]{}<>"')


def _lines(rows: Sequence[Accepted], names: Iterable[str]) -> tuple[int, ...]:
    wanted = frozenset(names)
    return tuple(row.where for row in rows if not wanted.isdisjoint(row.ticket.labels or ()))


def _listing(names: Sequence[str]) -> str:
    return _series([_quoted(name) for name in names])


def _series(words: Sequence[str]) -> str:
    return ", ".join(words[:_SHOWN]) + (f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else "")


def _quoted(name: str) -> str:
    return repr(name[:60])
