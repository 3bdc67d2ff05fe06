"""Makes reviews of what a file says that people found: all of it or none, and the same file only once."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tagdesk.case import Case
from tagdesk.errors import UsageError
from tagdesk.labelling.found import Found, Handed, Problem
from tagdesk.labelling.label_studio import read_export
from tagdesk.labelling.table import mark, read_table
from tagdesk.review import Review, Source
from tagdesk.store import Receipt, Store

LONGEST = 200  # characters of an id or a name, as the store has it
CUT_FROM = 32_000  # characters of a cell; spreadsheets keep 32,767
NOT_STORED = re.compile("[\0\ud800-\udfff]")
_WORD = re.compile(r"\S+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import would do.

    Attributes:
        reviews: to add, each with its tenant.
        repeated: how many say what is on record already.
        outdated: how many are older than what their reviewer, or somebody who settled it, has said since.
        blank: rows or tasks that nobody has labelled.
        problems: what cannot become a review.
    """

    reviews: tuple[tuple[str, Review], ...]
    repeated: int
    outdated: int
    blank: int
    problems: tuple[Problem, ...]


def read_file(path: Path, known: Collection[str]) -> Handed:
    """What a file says: an export of Label Studio where its name ends in .json, else a filled-in table."""
    return read_export(path) if path.suffix.lower() == ".json" else read_table(path, known)


def plan(
    store: Store, handed: Handed, known: Collection[str], *, reviewer: str | None, tenant: str | None, now: datetime
) -> Plan:
    """What becomes of what a file says, without writing anything.

    Args:
        store: where the cases are.
        handed: what `read_file` gives.
        known: the labels that a review may hold.
        reviewer: who found it, where the file does not say.
        tenant: whose cases; None: everybody's.
        now: when it was found, where the file does not say.

    Raises:
        UsageError: where nobody says who found it.
    """
    if reviewer is None and any(one.reviewer is None for one in handed.found):
        raise UsageError(
            "The file does not say who labelled. Name the person with --reviewer, or in a column reviewer.",
            code="no_reviewer",
        )
    problems = list(handed.problems)
    passed: list[tuple[Found, Case]] = []
    ids = list(dict.fromkeys(one.case for one in handed.found if _is_name(one.case)))
    cases = dict(zip(ids, store.cases.get(ids, tenant=tenant), strict=True))
    twice = _said_twice(handed, reviewer)
    for one in handed.found:
        case = cases.get(one.case)
        flaw = _flaw(one, case, known) or twice.get(one.where)
        if flaw is not None:
            problems.append(flaw)
        elif case is not None:
            passed.append((one, case))
    reviews, repeated, outdated = _reviews(store, handed, passed, reviewer or "", now)
    return Plan(reviews, repeated, outdated, handed.blank, tuple(problems))


def carry_out(store: Store, planned: Plan) -> Counter[Receipt]:
    """Add the reviews and count what became of them; all of one tenant or none."""
    of_tenant: dict[str, list[Review]] = defaultdict(list)
    for tenant, review in planned.reviews:
        of_tenant[tenant].append(review)
    return Counter(
        receipt for tenant, reviews in of_tenant.items() for receipt in store.reviews.add(reviews, tenant=tenant)
    )


def same_text(cell: str, text: str) -> bool:
    """Whether a cell holds a text, whatever a spreadsheet did to its line ends, its length and its foreign letters.

    >>> same_text("Where is m?", "Where  is mß"), same_text("Where is it?", "Where was it?")
    (True, False)
    """
    if cell == text:
        return True
    found, wanted = _WORD.findall(cell), _WORD.findall(text)
    if len(cell) >= CUT_FROM and len(found) < len(wanted):
        found.pop()  # it may be cut off
        wanted = wanted[: len(found)]
    if len(found) != len(wanted):
        return False
    return all(not right.isascii() or left == right for left, right in zip(found, wanted, strict=True))


def _flaw(one: Found, case: Case | None, known: Collection[str]) -> Problem | None:
    """Why something that was found cannot become a review."""
    if case is None:
        detail = f"There is no case {one.case[:60]!r}: it was erased, or is of another store or tenant."
        return Problem(one.where, "unknown_case", detail)
    if not case.has_text:
        detail = "The text of the case is no longer kept, so nobody can say any more what is right."
        return Problem(one.where, "forgotten", detail)
    if strangers := sorted(one.labels - set(known)):
        return Problem(one.where, "unknown_label", f"The model that answers knows no label {strangers[0][:60]!r}.")
    if one.reviewer is not None and not _is_name(one.reviewer):
        return Problem(one.where, "bad_reviewer", f"The reviewer's name is not 1 to {LONGEST} plain characters.")
    return _change(one, case.prediction.text)


def _change(one: Found, text: str) -> Problem | None:
    """What was changed in a row since it was handed out, apart from the labels."""
    if one.text is not None and not same_text(one.text, text):
        detail = "The text is not that of the case. Restore it: what was read must be what is learned from."
        return Problem(one.where, "other_text", detail)
    if one.mark is not None and one.mark != mark(one.case, text, one.suggested):
        detail = (
            "The mark does not belong to this case with this suggestion. Leave the columns case, suggested_labels and "
            "mark as they were, and write into new_labels."
        )
        return Problem(one.where, "other_mark", detail)
    return None


def _said_twice(handed: Handed, reviewer: str | None) -> dict[str, Problem]:
    """The rows of a table, which tells no times, in which one person says different things about one case."""
    said: dict[tuple[str, str | None], list[Found]] = defaultdict(list)
    for one in handed.found:
        if one.time is None:
            said[one.case, one.reviewer or reviewer].append(one)
    return {
        one.where: Problem(one.where, "two_verdicts", f"The case has another verdict, in {_other(one, rows)}.")
        for rows in said.values()
        if len({one.labels for one in rows}) > 1
        for one in rows
    }


def _other(one: Found, rows: Sequence[Found]) -> str:
    return next(other.where for other in rows if other.labels != one.labels)


def _reviews(
    store: Store, handed: Handed, passed: Sequence[tuple[Found, Case]], reviewer: str, now: datetime
) -> tuple[tuple[tuple[str, Review], ...], int, int]:
    """The reviews to add with their tenants; how many are on record already, and how many are outdated."""
    ids = list(dict.fromkeys(case.id for _one, case in passed))
    reviews_of = dict(zip(ids, store.reviews.of_cases(ids, tenant=None), strict=True))
    digest = handed.digest
    planned: list[tuple[str, Review]] = []
    repeated = outdated = 0
    for one, case in passed:
        who, before = one.reviewer or reviewer, reviews_of[case.id]
        when = digest if one.time is None else one.time.isoformat()
        key = _key(handed.kind, one.case, who, one.labels, when)
        last = next((review for review in reversed(before) if review.reviewer == who), None)
        if (last is not None and last.labels == one.labels) or any(review.key == key for review in before):
            repeated += 1  # in the second case something else was said since
        elif one.time is not None and any(
            review.time > one.time for review in before if review.reviewer == who or review.settles
        ):
            outdated += 1
        else:
            review = Review(case.id, one.labels, who, one.time or now, Source.IMPORT, key)
            planned.append((case.tenant, review))
            reviews_of[case.id] = (*before, review)
    return tuple(planned), repeated, outdated


def _key(kind: str, case: str, who: str, labels: frozenset[str], when: str) -> str:
    content = json.dumps([kind, case, who, sorted(labels), when])
    return hashlib.sha256(content.encode()).hexdigest()


def _is_name(value: str) -> bool:
    return 1 <= len(value) <= LONGEST and not NOT_STORED.search(value)
