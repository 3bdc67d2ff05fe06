"""A file of tickets in, a file with labels, scores and decisions out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tagdesk.dataset import Accepted, File, RejectsWriter, TicketReader, open_writer, rejects_path
from tagdesk.errors import UsageError
from tagdesk.model import Model
from tagdesk.policy import Policy
from tagdesk.prediction import Decision, Prediction
from tagdesk.scorers.base import Progress, silent

AT_ONCE = 128  # rows in memory
LABELS, DECISION, FLAGS, MODEL, SCOPE = "predicted_labels", "decision", "flags", "model", "out_of_scope"
SCORE = "score: "  # a label follows, so the others do not begin like that


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of each row: `read == accepted + rejected + skipped`.

    `rejects` names the file that says why; `left_out` names columns that came too late to have a place in the result.
    """

    read: int
    accepted: int
    rejected: int
    skipped: int
    without_label: int
    flagged: int
    out: str
    rejects: str | None
    left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON holds it."""
        return asdict(self)


def classify(
    model: Model,
    source: File,
    out: Path,
    *,
    policy: Policy | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Summary:
    """Label every row of a file; memory stays the same however long it is.

    The result holds the columns of the source, then `predicted_labels`, `decision` (the strongest of any label),
    `flags`, `model`, one `score: <label>` for each label, and `out_of_scope`, the probability that no label applies,
    where the model has learned it; those of an earlier result are replaced. It appears whole, or not at all. Rows that
    hold no ticket are in `<out>.rejects.jsonl`. Raises UsageError where a column of the source has one of these names
    and is not from an earlier result.
    """
    without_label = flagged = 0
    left_out: set[str] = set()
    scores = [SCORE + name for name in model.taxonomy.names]
    scores += [SCOPE] if model.knows_scope else []
    types = {LABELS: list, DECISION: str, FLAGS: list, MODEL: str} | dict.fromkeys(scores, float)
    with source.open() as rows:
        kept = _kept(rows.fields, types, source.path)
        known = frozenset(rows.fields)
        with (
            RejectsWriter(out, force=force, inputs=[source.path]) as rejects,
            open_writer(out, [*kept, *types], force=force, inputs=[source.path], types=types) as writer,
        ):
            for batch in _batches(rows, rejects):
                predictions = model.predict([row.ticket.text for row in batch], policy=policy)
                for row, prediction in zip(batch, predictions, strict=True):
                    cells = _cells(row, prediction)
                    writer.write({field: _plain(row.raw.get(field)) for field in kept} | cells)
                    left_out |= row.raw.keys() - known
                    without_label += not prediction.labels
                    flagged += bool(cells[FLAGS])
                progress("rows", round(rows.share * 1000), 1000)
        return Summary(
            read=rows.read,
            accepted=rows.accepted,
            rejected=rows.rejected,
            skipped=rows.skipped,
            without_label=without_label,
            flagged=flagged,
            out=str(out),
            rejects=str(rejects_path(out)) if rows.rejected else None,
            left_out=tuple(sorted(left_out)),
        )


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


def _batches(rows: TicketReader, rejects: RejectsWriter) -> Iterator[Sequence[Accepted]]:
    """The accepted rows, some at a time; the others go to the rejects."""

    def accepted() -> Iterator[Accepted]:
        for row in rows:
            if isinstance(row, Accepted):
                yield row
            else:
                rejects.write(row)

    stream = accepted()
    while batch := list(islice(stream, AT_ONCE)):
        yield batch


def _plain(value: object) -> object:
    """A value without NUL, which many programs that read the result would choke on."""
    return value.replace("\0", "") if isinstance(value, str) else value


def _cells(row: Accepted, prediction: Prediction) -> dict[str, object]:
    """What is added to a row; its flags are those of the original text and those of the model."""
    strongest = max(prediction.decisions.values(), default=Decision.NONE)
    cells: dict[str, object] = {
        LABELS: list(prediction.labels),
        DECISION: strongest.word,
        FLAGS: list(dict.fromkeys((*row.flags, *prediction.flags))),
        MODEL: prediction.model,
    }
    scope = {} if prediction.out_of_scope is None else {SCOPE: round(prediction.out_of_scope, 6)}
    return cells | {SCORE + name: round(score, 6) for name, score in prediction.scores.items()} | scope
