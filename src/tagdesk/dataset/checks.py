"""Says what a file of tickets holds, and what its owner should mend before training."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

from tagdesk.dataset.findings import CheckReport, Leak, Lengths, Problem, Severity
from tagdesk.dataset.label_health import find_label_problems
from tagdesk.dataset.repeats import Texts, find_contradictions, find_leak, find_repeats
from tagdesk.dataset.rows import Accepted, ReadResult, Rejected
from tagdesk.taxonomy import Taxonomy

_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")  # the order in which problems stand
_MOST_PAIRED = 20  # labels on one ticket; pairs of more are noise


def check(
    found: ReadResult,
    *,
    taxonomy: Taxonomy | None = None,
    others: Mapping[str, ReadResult] | None = None,
    rare_below: int = 10,
) -> CheckReport:
    """Check a file that was read.

    Args:
        found: the file.
        taxonomy: the labels that the file should keep to.
        others: further files by name, such as the test set, that should share no text with this one.
        rare_below: a label on fewer tickets is reported as rare.

    >>> from tagdesk.ticket import Ticket
    >>> row = Accepted(1, 2, Ticket("1", "Where is my parcel?", frozenset({"Shipping"})), {})
    >>> [problem.code for problem in check(ReadResult(("text",), (row,), (), 0)).problems]
    ['too_few', 'rare_label', 'label_everywhere']
    """
    texts = Texts.of(found.accepted)
    counts = _descending(Counter(label for row in found.accepted for label in row.ticket.labels or ()))
    leaks = [find_leak(texts, Texts.of(other.accepted), name) for name, other in (others or {}).items()]
    repeats = find_repeats(texts)
    problems = [
        *_rejections(found.rejected),
        *_too_few(texts),
        *_repeated_ids(found.accepted),
        *repeats,
        *find_contradictions(texts),
        *find_label_problems(found, counts, taxonomy, rare_below),
        *(_leak_problem(leak) for leak in leaks if leak),
    ]
    times = {problem.code: problem.count for problem in repeats}
    return CheckReport(
        read=found.read,
        accepted=len(found.accepted),
        rejected=len(found.rejected),
        skipped=found.skipped,
        rejects=_descending(Counter(row.code for row in found.rejected)),
        label_counts=counts,
        pair_counts=_pair_counts(found.accepted),
        without_label=sum(row.ticket.labels == frozenset() for row in found.accepted),
        unlabelled=sum(not row.ticket.is_labelled for row in found.accepted),
        lengths=_lengths(found.accepted),
        repeated=times.get("repeated_text", 0),
        near_duplicates=times.get("near_duplicate", 0),
        flags=_descending(Counter(flag for row in found.accepted for flag in row.flags)),
        leaks=tuple(leak for leak in leaks if leak),
        problems=tuple(sorted(problems, key=lambda problem: _SEVERITIES.index(problem.severity))),
    )


def _rejections(rejected: Sequence[Rejected]) -> list[Problem]:
    by_code: dict[str, list[Rejected]] = {}
    for row in rejected:
        by_code.setdefault(row.code, []).append(row)
    return [
        Problem(
            "warning",
            code,
            f"Rows left out as {code}: {len(rows):,}. The first, line {rows[0].where}: {rows[0].detail}",
            len(rows),
            tuple(row.where for row in rows),
        )
        for code, rows in by_code.items()
    ]


def _too_few(texts: Texts) -> list[Problem]:
    different = len(set(texts.keys))
    if different > 1:
        return []
    message = f"Different texts: {different}, in rows: {len(texts.keys):,}. That is too few to learn from; add tickets."
    return [Problem("error", "too_few", message, len(texts.keys))]


def _repeated_ids(rows: Sequence[Accepted]) -> list[Problem]:
    times = Counter(row.ticket.id for row in rows)
    repeated = [row.where for row in rows if times[row.ticket.id] > 1]
    if not repeated:
        return []
    message = f"Rows that share their id with another one: {len(repeated):,}. Give each ticket an id of its own."
    return [Problem("warning", "repeated_id", message, len(repeated), tuple(repeated))]


def _leak_problem(leak: Leak) -> Problem:
    message = (
        f"Rows whose text also stands in {leak.other}: {leak.exact:,}; nearly: {leak.near:,}. "
        "Figures measured on such tickets are too good; delete them from one of the files."
    )
    return Problem("warning", "leak", message, leak.exact + leak.near, tuple(sorted(own for own, _ in leak.pairs)))


def _pair_counts(rows: Sequence[Accepted]) -> dict[tuple[str, str], int]:
    label_sets = (sorted(row.ticket.labels or ())[:_MOST_PAIRED] for row in rows)
    pairs = Counter(pair for labels in label_sets for pair in combinations(labels, 2))
    return dict(sorted(pairs.items(), key=lambda item: (-item[1], item[0])))


def _lengths(rows: Sequence[Accepted]) -> Lengths | None:
    if not rows:
        return None
    lengths = sorted(len(row.ticket.text) for row in rows)
    p95 = lengths[min(len(lengths) - 1, round(0.95 * len(lengths)))]
    return Lengths(lengths[0], int(statistics.median(lengths)), p95, lengths[-1])


def _descending(counts: Counter[str]) -> dict[str, int]:
    """Counts from high to low; equal ones in alphabetical order."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
