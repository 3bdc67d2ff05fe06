"""What is decided of a run before its first row is labelled, so that every worker decides alike."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tagdesk.bulk import parts
from tagdesk.bulk.parts import Part, parts_of
from tagdesk.dataset import Accepted, File, Sheet
from tagdesk.errors import UsageError
from tagdesk.model import Model
from tagdesk.policy import Policy

LABELS, DECISION, FLAGS, MODEL, SCOPE = "predicted_labels", "decision", "flags", "model", "out_of_scope"
SCORE = "score: "  # a label follows, so the others do not begin like that


@dataclass(frozen=True, slots=True)
class Job:
    """How each part is labelled.

    Attributes:
        model: the id of the model.
        tier: in which it reads.
        policy: what decides.
        known: the columns of the source.
        kept: those that the result has.
        added: the columns that say what the model says.
        sheet: the columns of the result in its format.
        part_rows: how many rows a part has.
    """

    model: str
    tier: str
    policy: Policy
    known: tuple[str, ...]
    kept: tuple[str, ...]
    added: tuple[str, ...]
    sheet: Sheet
    part_rows: int


def plan(
    model: Model,
    source: File,
    format: str,  # noqa: A002 - the word that users know
    policy: Policy | None,
    *,
    scores: bool = True,
) -> tuple[Job, list[Part]]:
    """The job, and the first two parts of the source, or all where it has fewer; the result has `scores` or not.

    Raises UsageError where a column of the source has a name of ours and is not from an earlier result.
    """
    numbers = [SCORE + name for name in model.taxonomy.names] if scores else []
    numbers += [SCOPE] if scores and model.knows_scope else []
    added = {LABELS: list, DECISION: str, FLAGS: list, MODEL: str} | dict.fromkeys(numbers, float)
    with source.open() as reader:
        kept = _kept(reader.fields, added, source.path)
        ahead = list(islice(parts_of(reader, parts.PART_ROWS), 2))
        types = {field: reader.types[field] for field in kept if field in reader.types} | added
        first = [plain(row, kept) for row in ahead[0].rows if isinstance(row, Accepted)]
        sheet = Sheet.of(format, (*kept, *added), types, first)
        columns = reader.fields, tuple(kept), tuple(added)
        return Job(model.id, model.tier, policy or model.policy, *columns, sheet, parts.PART_ROWS), ahead


def plain(row: Accepted, fields: Sequence[str]) -> dict[str, object]:
    """A row's columns without NUL, which many programs that read the result would choke on."""
    values = ((field, row.raw.get(field)) for field in fields)
    return {field: value.replace("\0", "") if isinstance(value, str) else value for field, value in values}


def _kept(fields: Sequence[str], added: Collection[str], path: Path) -> list[str]:
    """The columns of the source that the result keeps: all but those of an earlier result; raises UsageError."""
    if LABELS in fields:
        return [field for field in fields if field not in {*added, SCOPE} and not field.startswith(SCORE)]
    taken = [field for field in fields if field in added]
    if taken:
        raise UsageError(
            f"{path}: the result needs the name of column {', '.join(map(repr, taken))}. Rename that column.",
            code="duplicate_column",
        )
    return list(fields)
